/** CARs in memory: what an export hands over, as a restore reads it. */
import type { OpenCar } from '../../src/car/state.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { ExportCarOptions, ExportedCar } from '../../src/engine/export-car.ts'
import { cidKey, type CidBytes } from '../../src/model/cid.ts'

/** `onBlock` is waited for at each block. */
export async function carInMemory(
  dataset: Dataset,
  options: ExportCarOptions = {},
  onBlock?: (cid: CidBytes) => Promise<void>,
): Promise<{ car: OpenCar; report: ExportedCar }> {
  const blocks = new Map<string, Uint8Array>()
  const roots: Uint8Array[] = []
  const report = await dataset.exportCar(async (root) => {
    roots.push(root)
    return {
      put: (cid, bytes) => {
        blocks.set(cidKey(cid), new Uint8Array(bytes))
        return onBlock?.(cid)
      },
      finish: async () => ({ bytes: 0, blocks: blocks.size, sha256: '' }),
    }
  }, options)
  const car: OpenCar = {
    path: 'memory.car',
    roots,
    has: (cid) => blocks.has(cidKey(cid)),
    offsetOf: () => 0,
    read: (cid) => blocks.get(cidKey(cid)),
  }
  return { car, report }
}
