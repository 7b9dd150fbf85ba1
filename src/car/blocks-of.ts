/** The blocks of a small CAR that is in memory, such as the answer to a request, by the keys of their CIDs. */
import { cidKey, type CidBytes } from '../model/cid.ts'
import { headerBytes, parseHeader, SectionFrame } from './frame.ts'

/** Not hashed here. */
export function blocksOfCar(car: Uint8Array): Map<string, Uint8Array> {
  const blocks = new Map<string, Uint8Array>()
  const frame = new SectionFrame()
  let at = headerBytes(car, 0, car.length)
  parseHeader(car.subarray(0, at), 0)
  while (at < car.length) {
    frame.parse(car, at, at, car.length)
    const cid: CidBytes = car.subarray(frame.cidAt, frame.blockAt)
    blocks.set(cidKey(cid), car.subarray(frame.blockAt, frame.end))
    at = frame.end
  }
  return blocks
}
