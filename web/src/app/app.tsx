/** What is shown at all: the frame with a view, or a question that comes first. */
import { useSignalEffect } from '@preact/signals'
import type { VNode } from 'preact'
import { Empty, Skeleton } from '../ui/card.tsx'
import { listing } from './datasets.ts'
import { ErrorNote } from './errors.tsx'
import { navigate, route } from './router.ts'
import { access } from './session.ts'
import { Shell } from './shell.tsx'
import { AskDataset, SignIn } from './sign-in.tsx'
import { VIEWS } from './views.ts'

export function App(): VNode {
  const { dataset, view } = route.value
  const isFree = VIEWS.some(({ id, free }) => id === view && free === true)
  useSignalEffect(chooseDataset)
  if (isFree) return <Shell dataset={dataset ?? firstDataset() ?? ''} />
  if (access.value !== 'granted') return <SignIn />
  if (dataset !== undefined) return <Shell dataset={dataset} />
  const listed = listing.value
  return (
    <>
      {listed.state === 'hidden' && <AskDataset />}
      {listed.state === 'failed' && (
        <main class="main main-alone">
          <h1 class="aside">Cairn</h1>
          <ErrorNote error={listed.error} />
        </main>
      )}
      {listed.state === 'asking' && (
        <main class="main main-alone">
          <h1 class="aside">Cairn</h1>
          <Skeleton />
        </main>
      )}
      {listed.state === 'listed' && (
        <main class="main main-alone">
          <h1 class="aside">Cairn</h1>
          <Empty title="There is no dataset yet" />
        </main>
      )}
    </>
  )
}

function firstDataset(): string | undefined {
  const listed = listing.value
  return listed.state === 'listed' ? listed.names[0] : undefined
}

/** An address without a dataset means the first one. */
function chooseDataset(): void {
  const { dataset, view, args, query } = route.value
  const first = firstDataset()
  const isFree = VIEWS.some(({ id, free }) => id === view && free === true)
  if (dataset === undefined && first !== undefined && !isFree)
    navigate({ dataset: first, view, args, query }, { replace: true })
}
