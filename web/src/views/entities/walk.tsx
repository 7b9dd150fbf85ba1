/** The blocks of a dataset, from link to link. */
import type { VNode } from 'preact'
import type { ViewProps } from '../../app/views.ts'
import { Empty } from '../../ui/card.tsx'
import { useArrived } from './arrived.ts'
import { BlockPage } from './block.tsx'
import { useServicePlace } from './service-place.ts'
import './view.css'

export function View({ dataset, args, query }: ViewProps): VNode {
  const place = useServicePlace(dataset)
  const [cid] = args
  useArrived(cid ?? '')
  if (cid !== undefined) return <BlockPage key={cid} place={place} cid={cid} query={query} />
  return (
    <div class="stack-l">
      <h1>Block</h1>
      <Empty title="Which block?">
        <p>The address of a block ends with its CID.</p>
      </Empty>
    </div>
  )
}
