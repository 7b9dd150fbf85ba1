/**
 * Cairn's CARs in other hands, and theirs in Cairn's: go-car reads what Cairn exports and writes what
 * Cairn reads and restores, and age decrypts and encrypts it. Both are libraries of the Go program in
 * tools/interop, built here by the Go toolchain (1.21 or later, which gets the one that go.mod names).
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CID } from 'multiformats/cid'
import { create as digestOf } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'

const ENTITIES = 2300
const RAW = 0x55
const SORTED = 0x0400
const MULTIHASH_SORTED = 0x0401
/** What one step may take; a step that hangs ends as a failure. */
const STEP_MS = 120_000

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'cairn-interop-'))
const at = (...names) => join(folder, ...names)
const original = `lmdb:${at('original')}`
const tool = at('interop')

let passed = 0
let failed = 0

function report(line) {
  if (line.startsWith('ok ')) passed += 1
  else failed += 1
  process.stdout.write(`${line}\n`)
}

async function check(what, work) {
  try {
    await work()
    report(`ok ${what}`)
  } catch (error) {
    report(`FAILED ${what}: ${error.message}`)
  }
}

function expectSame(actual, expected, what) {
  if (actual !== expected) throw new Error(`${what} is ${actual}, not ${expected}.`)
}

/** The stdout of a command that must succeed. */
function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: STEP_MS,
    ...options,
  })
  if (error) throw error
  if (status === 0) return stdout
  throw new Error(
    `${basename(command)} ${args.slice(0, 3).join(' ')} ended with ${status}: ${stderr}`,
  )
}

const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('CAIRN_')),
)
const cairn = (...args) =>
  run(process.execPath, [join(root, 'bin/cairn'), ...args], { cwd: folder, env: environment })

function build() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  run(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root })
  const { error } = spawnSync('go', ['version'])
  if (error) throw new Error(`No Go toolchain: ${error.message}.`)
  const go = { cwd: join(root, 'tools/interop'), timeout: 10 * STEP_MS }
  run('go', ['build', '-mod=readonly', '-o', tool, '.'], go)
}

/** JSON, raw bytes, files of several blocks, content that stands in its CID, and shared blocks. */
function contentOf(n) {
  if (n % 1000 === 7) return { value: Buffer.alloc(2_500_000 + n, `${n} `) }
  if (n % 100 === 3) return { tip: CID.createV1(RAW, digestOf(identity.code, Buffer.from(`${n}`))) }
  if (n % 5 === 1) return { value: createHash('sha512').update(`${n}`).digest() }
  if (n % 50 === 2) return { value: { shared: true } }
  return { value: { n, title: `Entity ${n}`, ids: [n, n + 1], nested: { empty: [], none: null } } }
}

const idOf = (n) => `item-${String(n).padStart(5, '0')}`

async function makeDataset(store) {
  const { dataset } = await store.init('main', { chunkSize: 64 })
  for (let n = 0; n < ENTITIES; n += 460) {
    const entries = Array.from({ length: 460 }, (_, i) => ({
      pi: idOf(n + i),
      ...contentOf(n + i),
    }))
    await dataset.appendBatch(entries)
  }
  await dataset.build()
  await change(dataset, 1, 200)
  await dataset.build()
  await change(dataset, 2, 120)
}

/** New versions of some entities, one of them a file, and deletions. */
async function change(dataset, round, count) {
  const entries = Array.from({ length: count }, (_, i) => {
    const pi = idOf((i * 19 + round) % ENTITIES)
    return i % 10 === 0 ? { pi, tip: null } : { pi, ...contentOf(10_000 * round + i) }
  })
  for (let i = 0; i < entries.length; i += 40) await dataset.appendBatch(entries.slice(i, i + 40))
}

const EXPORTS = {
  full: [],
  tips: ['--content', 'tips'],
  index: ['--content', 'index'],
  base: ['--snapshot', 'seq:1'],
  delta: ['--since', 'seq:1'],
}

function exportAll() {
  for (const [name, args] of Object.entries(EXPORTS)) {
    cairn('export-car', '--store', original, '--out', at('ours', `${name}-v1.car`), ...args)
    cairn('export-car', '--store', original, '--out', at('ours', `${name}-v2.car`), ...args, '--v2')
  }
}

/** What each form of go-car's is: version, codec of its index, and what need not be as in ours. */
const FORMS = {
  'stored-v1.car': { version: 1 },
  'extracted-v1.car': { version: 1 },
  'stored-v2.car': { version: 2, index: MULTIHASH_SORTED },
  'stored-v2-padded.car': { version: 2, index: MULTIHASH_SORTED },
  'stored-v2-identity.car': { version: 2, index: MULTIHASH_SORTED },
  'stored-v2-whole-cid.car': { version: 2, index: MULTIHASH_SORTED },
  'stored-v2-sorted.car': { version: 2, index: SORTED },
  'wrapped-v2-no-index.car': { version: 2, index: undefined },
  'wrapped-v2.car': { version: 2, index: MULTIHASH_SORTED },
  'wrapped-v2-sorted.car': { version: 2, index: SORTED },
}

async function blocksOf(car) {
  const blocks = []
  for await (const batch of car.sections()) {
    for (const { cid, bytes } of batch) blocks.push({ cid: cid.slice(), bytes: bytes.slice() })
  }
  return blocks
}

async function checkForms({ CarFile, printCid }) {
  const ours = await CarFile.open(at('ours/full-v1.car'))
  const blocks = await blocksOf(ours)
  const roots = ours.roots.map(printCid).join()
  await ours.close()
  for (const [name, { version, index }] of Object.entries(FORMS)) {
    for (const trustIndex of [false, true]) {
      const how = trustIndex ? 'with its index trusted' : 'by a scan'
      await check(`cairn: ${name} of go-car gives every block ${how}`, async () => {
        const car = await CarFile.open(at('theirs', name), { trustIndex })
        try {
          expectSame(car.version, version, 'the version')
          expectSame(car.indexCodec, index, 'the codec of the index')
          expectSame(car.roots.map(printCid).join(), roots, 'the root')
          for (const { cid, bytes } of blocks) {
            const found = car.read(cid)
            if (found === undefined || Buffer.compare(found, bytes) !== 0)
              throw new Error(`The block ${printCid(cid)} is another or missing.`)
          }
          // A lookup that the index answered has spared the scan, which is what counts the blocks.
          const scanned = trustIndex && index === MULTIHASH_SORTED ? undefined : blocks.length
          expectSame(car.blockCount, scanned, 'the count of scanned blocks')
        } finally {
          await car.close()
        }
      })
    }
  }
}

const entitiesOf = (store) => cairn('export', '--values', '--store', store)
let restores = 0

/** Restores into a new store and compares all that it then holds with the original. */
function checkRestored(what, cars, ...more) {
  return check(`cairn: restores ${what}`, () => {
    const store = `lmdb:${at(`restored-${++restores}`)}`
    cairn('restore-car', ...cars, '--store', store, '--yes', ...more)
    if (entitiesOf(store) !== entitiesOf(original)) throw new Error('Its entities are others.')
  })
}

async function checkAge() {
  const key = at('key.txt')
  const recipient = run(tool, ['keygen', key]).trim()
  for (const [name, args] of Object.entries({ v1: [], v2: ['--v2'] })) {
    const sealed = at('sealed', `ours-${name}.car.age`)
    const plain = at('sealed', `opened-${name}.car`)
    await check(`age: decrypts what Cairn encrypted (${name})`, () => {
      const to = ['--encrypt-to', recipient, '--out', sealed]
      cairn('export-car', '--store', original, ...to, ...args)
      run(tool, ['decrypt', key, sealed, plain])
      if (!readFileSync(plain).equals(readFileSync(at('ours', `full-${name}.car`))))
        throw new Error('The plain text is another.')
    })
    const theirs = at('sealed', `theirs-${name}.car.age`)
    run(tool, ['encrypt', recipient, at('ours', `full-${name}.car`), theirs])
    await checkRestored(`what age encrypted (${name})`, [theirs], '--identity', key)
  }
  await check('age: refuses what was encrypted by Cairn and cut', () => {
    const cut = at('sealed', 'cut.car.age')
    copyFileSync(at('sealed/ours-v1.car.age'), cut)
    truncateSync(cut, 1_000_000)
    try {
      run(tool, ['decrypt', key, cut, at('sealed/cut.car')])
    } catch {
      return
    }
    throw new Error('It was taken.')
  })
}

async function main() {
  build()
  for (const name of ['ours', 'theirs', 'theirs-delta', 'sealed']) mkdirSync(at(name))
  const library = await import('../dist/index.js')
  const store = await library.openCairn(original)
  try {
    await makeDataset(store)
  } finally {
    await store.close()
  }
  exportAll()
  for (const line of run(tool, ['check', at('ours')])
    .trimEnd()
    .split('\n'))
    report(line)
  run(tool, ['write', at('ours/full-v1.car'), at('theirs')])
  run(tool, ['write', at('ours/delta-v1.car'), at('theirs-delta')])
  expectSame(readdirSync(at('theirs')).sort().join(), Object.keys(FORMS).sort().join(), 'the forms')
  await checkForms(library)
  for (const name of Object.keys(FORMS))
    await checkRestored(`${name} of go-car`, [at('theirs', name)])
  await checkRestored('a base, and a delta that go-car has wrapped', [
    at('ours/base-v2.car'),
    at('theirs-delta/wrapped-v2.car'),
  ])
  await checkAge()
}

try {
  await main()
} catch (error) {
  report(`FAILED interop: ${error.message}`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1
