/** The store in memory. It is filled once, and what was written then is written again for each case. */
import { openMemory } from '../../src/backend/memory.ts'
import type { Backend, CommitRequest, HeldBlock } from '../../src/store/backend.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { steppedBackend, type Handle } from './contract.ts'
import { AHEAD_MS, type Ground, type Grounds } from './ground.ts'
import { fillStore, START, type Clock, type Material } from './material.ts'

interface Written {
  readonly blocks: readonly HeldBlock[]
  readonly commits: readonly CommitRequest[]
}

export async function memoryGrounds(): Promise<Grounds> {
  const { written, material } = await fillOnce()
  const make = async (): Promise<Ground> => {
    const store = openMemory()
    await writeAgain(store, written)
    return memoryGround(store, material)
  }
  return { name: 'memory', atOnce: 8, make, dispose: () => Promise.resolve() }
}

function memoryGround(store: Backend, material: Material): Ground {
  const clock: Clock = { now: START }
  let handles: readonly Handle[] = []
  // The store of all processes is one object, which none of them closes.
  const open = (): Backend => wrapBackend(store, { close: () => Promise.resolve() })
  return {
    clock,
    material,
    counts: true,
    openStepped: async (steps) => {
      const stepped = steppedBackend(open(), steps)
      handles = stepped.handles
      return stepped
    },
    open: async () => open(),
    bury: async () => {
      clock.now += AHEAD_MS
      for (const handle of handles) await handle.bury()
    },
    collect: () => Promise.resolve(),
    dispose: () => store.close(),
  }
}

async function fillOnce(): Promise<{ written: Written; material: Material }> {
  const store = openMemory()
  const blocks: HeldBlock[] = []
  const commits: CommitRequest[] = []
  const recording = wrapBackend(store, {
    stage: async (dataset, label) => {
      const staging = await store.stage(dataset, label)
      return {
        ...staging,
        put: (some) => {
          blocks.push(...some)
          return staging.put(some)
        },
      }
    },
    commit: async (request) => {
      const { dataset, number, bytes, content = [] } = request
      blocks.push(...content.map((block) => ({ ...block, hold: 'self' as const })))
      blocks.push(...request.blocks)
      commits.push({ dataset, number, bytes, blocks: [] })
      return store.commit(request)
    },
  })
  return { material: await fillStore(recording, { now: START }), written: { blocks, commits } }
}

async function writeAgain(store: Backend, { blocks, commits }: Written): Promise<void> {
  const staging = await store.stage('main', 'again')
  await staging.put(blocks)
  await staging.flush()
  for (const request of commits) await store.commit(request)
  await staging.end('committed')
}
