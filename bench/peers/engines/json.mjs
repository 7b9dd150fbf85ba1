/** What programs without a store do: the whole state as one JSON file, written, synced, renamed. */
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFile } from '../files.mjs'

export const version = () => `by Node ${process.versions.node}`

export async function openState(dir) {
  const state = new Map()
  const save = async (objects) => {
    for (const object of objects) state.set(object.id, object)
    const handle = await open(join(dir, 'state.tmp'), 'w')
    await handle.writeFile(JSON.stringify([...state.values()]))
    await handle.sync()
    await handle.close()
    await rename(join(dir, 'state.tmp'), join(dir, 'state.json'))
    await syncFile(dir)
  }
  return { first: save, save, close: () => {} }
}
