/** An encrypted CAR is told from what is none; a page has no secret keys, and asks for none. */
import { open } from 'node:fs/promises'
import { readExactly } from '../../../src/car/window.ts'
import { CairnError } from '../../../src/errors.ts'

const AGE_BEGINNINGS = ['age-encryption.org/', '-----BEGIN AGE']
const ENOUGH_BYTES = 32

export async function refuseEncrypted(name: string, path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const start = new Uint8Array(Math.min(size, ENOUGH_BYTES))
    readExactly({ fd: handle.fd, path, size }, start, 0)
    const text = new TextDecoder().decode(start)
    if (!AGE_BEGINNINGS.some((beginning) => text.startsWith(beginning))) return
  } finally {
    await handle.close()
  }
  throw new CairnError('access_denied', `The CAR in ${name} is encrypted.`, {
    hint: 'A page cannot decrypt it: use `age --decrypt`, or `cairn car ... --identity FILE`.',
    path,
  })
}
