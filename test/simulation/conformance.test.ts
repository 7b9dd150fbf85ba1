/** The simulated store is a true backend: it fulfils the contract, in both ways of sweeping. */
import { setImmediate as drained, setTimeout as pause } from 'node:timers/promises'
import { backendConformance } from '../conformance/backend.ts'
import type { OpenedBackend } from '../conformance/material.ts'
import { Random } from '../helpers/random.ts'
import { Faults } from './faults.ts'
import { Opening, type Site } from './opening.ts'
import { SimStore } from './store.ts'
import { World } from './world.ts'

const MS_PER_PAUSE = 20

/** A little of its time passes with that of the tests, which wait, too. */
async function keepGoing(world: World, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    if (world.hasReady) {
      world.step()
      await drained()
    } else {
      world.time += MS_PER_PAUSE
      await pause(1)
    }
  }
}

async function open(frees: 'blocks' | 'holds'): Promise<OpenedBackend> {
  const world = new World(1, 'even')
  const store = new SimStore(frees, new Random(2))
  const site: Site = { world, store, faults: new Faults(3, new Set(), 0) }
  let over = false
  const going = keepGoing(world, () => over)
  const again = async (): Promise<Opening> => new Opening(site, world.owner('process'))
  const backend = await again()
  return {
    backend,
    second: again,
    reopen: async () => {
      await backend.close()
      store.crash()
      return again()
    },
    dispose: async () => {
      over = true
      await going
    },
  }
}

backendConformance('simulated, frees blocks', () => open('blocks'), { rounds: 20 })
backendConformance('simulated, frees holds', () => open('holds'), { rounds: 20, frees: 'holds' })
