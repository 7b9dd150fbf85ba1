import { afterAll, beforeAll } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import type { Backend } from '../../src/store/backend.ts'
import { backendConformance } from '../conformance/backend.ts'
import { corruptOnNode } from '../helpers/kubo-damage.ts'
import { askNode, startKuboNode, type KuboNode } from '../helpers/kubo-node.ts'

let node: KuboNode

beforeAll(async () => {
  node = await startKuboNode()
}, 60_000)
afterAll(() => node.dispose())

backendConformance(
  'kubo',
  async () => {
    // Every test gets an empty store: what Cairn reads of a node begins in MFS.
    await askNode(node.url, 'files/rm', { arg: '/cairn', force: 'true' })
    const opened: Backend[] = []
    const open = async (): Promise<Backend> => {
      const backend = await openKubo({ url: node.url })
      opened.push(backend)
      return backend
    }
    const closeAll = async (): Promise<void> => {
      for (const backend of opened.splice(0)) await backend.close()
    }
    return {
      backend: await open(),
      second: open,
      reopen: async () => {
        await closeAll()
        return open()
      },
      corrupt: (cid) => corruptOnNode(node.url, cid),
      dispose: closeAll,
    }
  },
  { rounds: 20, frees: 'holds' },
)
