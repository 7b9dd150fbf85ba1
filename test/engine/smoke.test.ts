import { test, expect } from 'vitest'
import { openCairn, printCid } from '/work/main/src/index.ts'
import { mkdtempSync } from 'node:fs'
for (const store of ['memory:', `lmdb:${mkdtempSync('/tmp/cairn-')}`, ...(process.env.KUBO_URL ? [`kubo:${process.env.KUBO_URL}`] : [])]) test('smoke ' + store, async () => {
  const c = await openCairn(store)
  const ds = await c.open('main')
  console.time('put'); 
  for (let i = 0; i < 20; i++) await ds.putBatch(Array.from({length: 115}, (_, n) => ({ pi: 'E' + String(i * 115 + n).padStart(6, '0'), value: { n, i, hello: 'x' } })))
  console.timeEnd('put')
  console.time('build')
  const r = await ds.build()
  console.timeEnd('build')
  console.log(r.seq, r.entries, r.chunkCount, printCid(r.root))
  const big = await ds.put('big', new Uint8Array(3_000_000).fill(7))
  const p = await ds.list({ limit: 3, offset: 2298 })
  console.log(p.items.map((e) => e.pi), p.totalCount, p.hasMore)
  const p0 = await ds.list({ limit: 3 })
  console.log(p0.items.map((e) => e.pi), p0.nextCursor)
  const content = await ds.content((await ds.get('E000005'))!.tip!)
  console.log(content)
  const bc = await ds.content(big.tip)
  let n = 0; if (bc.kind === 'bytes') for await (const b of bc.bytes) n += b.length
  expect(n).toBe(3_000_000)
  const b2 = await ds.build()
  console.log(b2)
  const d = []; for await (const x of ds.diff('latest~1', 'latest')) d.push(x.pi); console.log(d)
  console.log(await ds.rollback({ snapshot: 'seq:1' }))
  console.log(await ds.get('big'))
  console.log((await ds.status()))
  const h = []; for await (const x of ds.history('E000007')) h.push(x); console.log(h)
  await c.close()
})
