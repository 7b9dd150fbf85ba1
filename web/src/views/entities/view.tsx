/** The entities of a dataset: all of them, or one. */
import type { VNode } from 'preact'
import type { ViewProps } from '../../app/views.ts'
import { useArrived } from './arrived.ts'
import { EntityPage } from './entity.tsx'
import { EntityList } from './list.tsx'
import { useServicePlace } from './service-place.ts'
import './view.css'

export function View({ dataset, args, query }: ViewProps): VNode {
  const place = useServicePlace(dataset)
  const [pi] = args
  useArrived(pi ?? '')
  if (pi === undefined) return <EntityList place={place} query={query} />
  return <EntityPage key={pi} place={place} pi={pi} at={query['at'] ?? ''} />
}
