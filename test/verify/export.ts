/** A dataset as a CAR file, for repairs to take from. */
import { open } from 'node:fs/promises'
import { FileSink } from '../../src/car/file-sink.ts'
import { CarWriter } from '../../src/car/writer.ts'
import type { Dataset } from '../../src/engine/dataset.ts'

export async function exportTo(path: string, dataset: Dataset): Promise<void> {
  const handle = await open(path, 'w')
  try {
    await dataset.exportCar((root) => CarWriter.begin(new FileSink(handle), [root]))
  } finally {
    await handle.close()
  }
}
