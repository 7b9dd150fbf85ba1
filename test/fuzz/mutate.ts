/** Changing an input: as bytes, or as what a CBOR block, a JSON text or a CAR is made of. */
import { mutateBytes, type Mutation } from './mutate-bytes.ts'
import { mutateCar } from './mutate-car.ts'
import { mutateCbor } from './mutate-cbor.ts'
import { mutateJson } from './mutate-json.ts'

export function mutate(bytes: Uint8Array, mutation: Mutation): Uint8Array {
  const { random, kind, maxBytes } = mutation
  let now: Buffer = Buffer.from(bytes)
  const steps = 1 + Math.floor(random.next() ** 3 * 8)
  for (let i = 0; i < steps; i++) {
    const inKind = kind !== 'bytes' && random.next() < 0.65 ? byKind(now, mutation) : undefined
    now = inKind ?? mutateBytes(now, mutation)
  }
  return Uint8Array.from(now.subarray(0, maxBytes))
}

/** Undefined: the bytes are not of that kind. */
function byKind(bytes: Buffer, mutation: Mutation): Buffer | undefined {
  if (mutation.kind === 'cbor') return mutateCbor(bytes, mutation)
  if (mutation.kind === 'json') return mutateJson(bytes, mutation)
  return mutation.kind === 'car' ? mutateCar(bytes, mutation) : undefined
}
