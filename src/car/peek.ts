/**
 * What a CAR says of itself at its beginning, read without the rest: quick on a file of any size. The
 * blocks at hand are those of the first window; exports have what describes them there.
 */
import { open } from 'node:fs/promises'
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import { beginning, cannotOpen, notAFile, readHeader } from './file.ts'
import { parseLayout } from './frame.ts'
import { indexCodecOf } from './index-v2.ts'
import { sectionBatches, type CarSection } from './scan.ts'
import type { OpenCar } from './state.ts'

export interface PeekedCar extends OpenCar {
  readonly version: 1 | 2
  /** The bytes of the file, and of the CARv1 in it. */
  readonly size: number
  readonly dataBytes: number
  /** The multicodec of the index; undefined: there is none. */
  readonly indexCodec: number | undefined
}

export async function peekCar(path: string): Promise<PeekedCar> {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    throw cannotOpen(path, cause)
  })
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw notAFile(path)
    const file = { fd: handle.fd, path, size: stats.size }
    const layout = parseLayout(beginning(file), file.size)
    const { roots, ...range } = readHeader(file, layout)
    const [first = []] = sectionBatches(file, range)
    return {
      path,
      version: layout.version,
      size: file.size,
      dataBytes: layout.limit - layout.from,
      indexCodec: indexCodecOf(file, layout),
      roots,
      ...blocksOf(first),
    }
  } finally {
    await handle.close()
  }
}

function blocksOf(sections: readonly CarSection[]): Pick<OpenCar, 'has' | 'offsetOf' | 'read'> {
  const find = (cid: CidBytes): CarSection | undefined =>
    sections.find((one) => bytesEqual(one.cid, cid))
  return {
    has: (cid) => find(cid) !== undefined,
    offsetOf: (cid) => find(cid)?.offset,
    read: (cid) => find(cid)?.bytes,
  }
}
