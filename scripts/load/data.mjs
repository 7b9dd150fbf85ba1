/** What the load is made of. */
import { createHash } from 'node:crypto'
import { base32 } from 'multiformats/bases/base32'

export const entityId = (n) => `entity-${String(n).padStart(9, '0')}`

/** CIDs of content that lies elsewhere. There are not many: making one costs as much as sending it. */
const TIPS = Array.from({ length: 1024 }, (_, n) => {
  const digest = createHash('sha256').update(`tip ${n}`).digest()
  return base32.encode(Buffer.concat([Buffer.of(1, 0x55, 0x12, 32), digest]))
})

export const tipText = (n) => TIPS[n % TIPS.length]
