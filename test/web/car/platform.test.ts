/** The browser's twins of Node's modules give what Node's give. */
import { createHash, hash } from 'node:crypto'
import { isUtf8 } from 'node:buffer'
import { readSync, openSync, closeSync, writeFileSync, rmSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FileWindow } from '../../../src/car/window.ts'
import { DigestMap } from '../../../src/util/digest-map.ts'
import { addFile, closeBlob, openBlob, readBlob } from '../../../web/src/car/platform/blobs.ts'
import { BrowserBuffer, isUtf8 as browserIsUtf8 } from '../../../web/src/car/platform/buffer.ts'
import { createHash as browserCreateHash } from '../../../web/src/car/platform/crypto.ts'
import { FileTable, MEMORY_ENTRIES } from '../../../web/src/car/platform/digest-file.ts'
import { sha256 } from '../../../web/src/car/platform/sha256.ts'
import { setImmediate } from '../../../web/src/car/platform/timers.ts'
import { toCairnError } from '../../../src/errors.ts'

const bytes = fc.uint8Array({ maxLength: 300 })
const text = fc.string({ unit: 'binary', maxLength: 100 })
const same = (a: Uint8Array, b: Uint8Array): void => {
  expect(Buffer.compare(a, b)).toBe(0)
}

test('a hash is that of Node, of every length around its blocks', () => {
  for (let length = 0; length < 200; length++) {
    const some = Uint8Array.from({ length }, (_, i) => i * 7 + length)
    same(sha256(some), hash('sha256', some, 'buffer'))
  }
  fc.assert(
    fc.property(bytes, (some) => {
      same(sha256(some), hash('sha256', some, 'buffer'))
    }),
  )
  const large = new Uint8Array(3_000_001).fill(0x5a)
  same(sha256(large), hash('sha256', large, 'buffer'))
})

test('so is one of several parts, texts among them', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(bytes, text)), (parts) => {
      const [there, here] = [browserCreateHash('sha256'), createHash('sha256')]
      for (const part of parts) {
        there.update(part)
        here.update(part)
      }
      expect(there.digest('hex')).toBe(here.digest('hex'))
    }),
  )
})

test('a buffer from texts and bytes, and back, is that of Node', () => {
  const encoding = fc.constantFrom('utf8', 'latin1', 'hex', 'base64', 'base64url')
  fc.assert(
    fc.property(bytes, encoding, fc.nat(300), fc.nat(300), (some, name, from, to) => {
      const [there, here] = [BrowserBuffer.from(some), Buffer.from(some)]
      const range = name === 'latin1' || name === 'utf8' ? [from, Math.max(from, to)] : []
      expect(there.toString(name, ...range)).toBe(here.toString(name, ...range))
      const printed = here.toString(name)
      same(BrowserBuffer.from(printed, name), Buffer.from(printed, name))
    }),
  )
  // A byte order mark is a character of the text.
  expect(BrowserBuffer.from('\ufeffa').toString()).toBe('\ufeffa')
  fc.assert(
    fc.property(text, (some) => {
      same(BrowserBuffer.from(some), Buffer.from(some))
      same(BrowserBuffer.from(some, 'latin1'), Buffer.from(some, 'latin1'))
      expect(BrowserBuffer.byteLength(some)).toBe(Buffer.byteLength(some))
    }),
  )
  fc.assert(
    fc.property(bytes, (some) => {
      expect(browserIsUtf8(some)).toBe(isUtf8(some))
    }),
  )
})

test('comparing, joining, copying and numbers are those of Node', () => {
  fc.assert(
    fc.property(bytes, bytes, fc.nat(300), fc.nat(300), (a, b, at, from) => {
      const there = BrowserBuffer.from(a)
      expect(BrowserBuffer.compare(a, b)).toBe(Buffer.compare(a, b))
      expect(there.equals(b)).toBe(Buffer.from(a).equals(b))
      same(BrowserBuffer.concat([a, b]), Buffer.concat([a, b]))
      const [to, other] = [new Uint8Array(300), new Uint8Array(300)]
      const begin = Math.min(from, a.length)
      expect(there.copy(to, at, begin, a.length)).toBe(
        Buffer.from(a).copy(other, at, begin, a.length),
      )
      same(to, other)
      if (a.length < 8) return
      expect(there.readBigUInt64LE(0)).toBe(Buffer.from(a).readBigUInt64LE(0))
      expect(there.readUInt32LE(4)).toBe(Buffer.from(a).readUInt32LE(4))
    }),
  )
})

test('a part of a buffer is a buffer over the same bytes', () => {
  const whole = BrowserBuffer.from([1, 2, 3, 4])
  const part = whole.subarray(1, 3)
  expect(BrowserBuffer.isBuffer(part)).toBe(true)
  part[0] = 9
  expect([...whole]).toEqual([1, 9, 3, 4])
  expect([...BrowserBuffer.from(whole.buffer, 2, 2)]).toEqual([3, 4])
})

test('reading a chosen file by position gives what reading one from the disk gives', () => {
  const content = Uint8Array.from({ length: 700_000 }, (_, i) => (i * i) % 251)
  const folder = mkdtempSync(join(tmpdir(), 'cairn-blob-'))
  const path = join(folder, 'file')
  writeFileSync(path, content)
  const fd = openSync(path, 'r')
  const blob = openBlob(
    addFile({ name: 'file', size: content.length, read: (a, b) => content.slice(a, b) }),
  )
  try {
    fc.assert(
      fc.property(fc.nat(710_000), fc.oneof(fc.nat(5000), fc.nat(710_000)), (position, length) => {
        const [there, here] = [new Uint8Array(length), new Uint8Array(length)]
        let done = 0
        for (;;) {
          const read = readBlob(blob?.fd ?? -1, there.subarray(done), position + done)
          done += read
          if (read === 0 || done === length) break
        }
        expect(done).toBe(readSync(fd, here, 0, length, position))
        same(there, here)
      }),
    )
    const window = new FileWindow({ fd, path, size: content.length })
    window.show(1000, 50)
    const seen = new Uint8Array(50)
    expect(readBlob(blob?.fd ?? -1, seen, 1000)).toBe(50)
    same(seen, window.bytes.subarray(1000 - window.from, 1050 - window.from))
  } finally {
    closeSync(fd)
    closeBlob(blob?.fd ?? -1)
    rmSync(folder, { recursive: true })
  }
})

test('a chosen file that cannot be read any more has come to its end', () => {
  const path = addFile({ name: 'gone', size: 100, read: () => undefined })
  expect(readBlob(openBlob(path)?.fd ?? -1, new Uint8Array(10), 0)).toBe(0)
  expect(addFile({ name: 'gone', size: 100, read: () => undefined })).toBe('gone (2)')
})

test('where a table would spill to a file, the browser refuses', () => {
  const spilling = new DigestMap({ memoryEntries: 1 })
  spilling.set(new Uint8Array(32).fill(1), 1)
  expect(spilling.set(new Uint8Array(32).fill(2), 2)).toBe(true)
  spilling.close()
  let thrown: unknown
  try {
    new FileTable()
  } catch (error) {
    thrown = error
  }
  expect(toCairnError(thrown).code).toBe('too_large')
  expect(toCairnError(thrown).message).toContain(String(MEMORY_ENTRIES))
})

test('turns come in order, and let others go first', async () => {
  const order: number[] = []
  await Promise.all([
    setImmediate().then(() => order.push(1)),
    setImmediate().then(() => order.push(2)),
    Promise.resolve().then(() => order.push(0)),
  ])
  expect(order).toEqual([0, 1, 2])
})
