/**
 * Makes fixtures/arke/made: one CAR for each schema of the system that Cairn replaces of which there is
 * none written by the original programs, put by a real node's `dag put` in the codecs that those programs
 * used, and the true state behind each in expected.json, which is told from what is written here alone.
 *
 *   node scripts/make-arke-fixtures.mjs
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OUT = fileURLToPath(new URL('../fixtures/arke/made/', import.meta.url))
const kubo = execFileSync(process.execPath, [fileURLToPath(new URL('kubo.mjs', import.meta.url))])
  .toString()
  .trim()
const home = mkdtempSync(join(tmpdir(), 'cairn-arke-'))
const env = { ...process.env, IPFS_PATH: home, IPFS_TELEMETRY: 'off' }
const ipfs = (args, input) =>
  execFileSync(kubo, args, { env, input, maxBuffer: 64 << 20, stdio: ['pipe', 'pipe', 'ignore'] })

/** `LINKS`: links are real; `MAPS`: as the event writer stored them, plain maps that link to nothing. */
const LINKS = { store: 'dag-cbor', input: 'dag-json' }
const MAPS = { store: 'dag-cbor', input: 'json' }
const JSON_LINKS = { store: 'dag-json', input: 'dag-json' }

function put(value, { store, input } = JSON_LINKS) {
  const args = ['dag', 'put', '--allow-big-block', '--store-codec', store, '--input-codec', input]
  return ipfs(args, JSON.stringify(value)).toString().trim()
}

const link = (cid) => (cid === null ? null : { '/': cid })
const ID = (n) => `01K7000000000000000000000${n}`
const TS = (n) => `2025-10-${String(10 + n).padStart(2, '0')}T12:00:00.000000Z`

/** A manifest with one component of its own; `codec` says whether they are linked. */
function manifest(pi, ver, prev = null, codec = LINKS) {
  const component = put({ data: `${pi} version ${ver}`, filename: 'metadata.json' }, codec)
  return put(
    {
      schema: 'arke/manifest/v1',
      pi,
      ver,
      ts: TS(ver),
      prev: link(prev),
      components: { metadata: link(component) },
      children_pi: [],
      note: `version ${ver}`,
    },
    codec,
  )
}

const expected = {}

/** `state`: pi to [ver, tip, ts]; `findings`: kind to count. */
function fixture(name, root, about, state, findings = {}) {
  writeFileSync(join(OUT, name), ipfs(['dag', 'export', '--progress=false', root]))
  const entities = Object.fromEntries(
    Object.entries(state).map(([pi, [ver, tip, ts]]) => [pi, { ver, tip, ts: Date.parse(ts) }]),
  )
  expected[name] = { about, root, entities, findings }
}

function indexV1() {
  const tips = [1, 2, 3].map((n) => manifest(ID(n), 1))
  const second = manifest(ID(2), 2, tips[1])
  const root = put({
    schema: 'arke/snapshot-index@v1',
    seq: 42,
    ts: TS(9),
    prev: null,
    entries: [
      { pi: ID(3), ver: 1, tip: link(tips[2]) },
      { pi: ID(1), ver: 1, tip: link(tips[0]) },
      { pi: ID(2), ver: 2, tip: link(second) },
    ],
  })
  fixture(
    'index-v1.car',
    root,
    'arke/snapshot-index@v1: entries have no time, so it is the snapshot’s',
    {
      [ID(1)]: [1, tips[0], TS(9)],
      [ID(2)]: [2, second, TS(9)],
      [ID(3)]: [1, tips[2], TS(9)],
    },
  )
}

function chainV1(pis) {
  let prev = null
  const entries = []
  for (const [pi, ver, tip, ts] of pis) {
    prev = put({ schema: 'arke/chain-entry@v1', pi, ver, tip: link(tip), ts, prev: link(prev) })
    entries.push({ pi, ver, tip, ts, cid: prev })
  }
  return entries
}

function snapshotV3() {
  const [one, two, three] = [1, 2, 3].map((n) => manifest(ID(n), 1))
  const newer = manifest(ID(1), 2, one)
  const dropped = manifest(ID(4), 1)
  const oldChunk = put({
    schema: 'arke/snapshot-chunk@v1',
    chunk_index: 0,
    entries: [{ pi: ID(4), ver: 1, tip: link(dropped), ts: TS(0) }],
  })
  const seed = put({
    schema: 'arke/snapshot@v2',
    seq: 1,
    ts: TS(1),
    prev_snapshot: null,
    total_count: 1,
    chunk_size: 10000,
    chunks: [link(oldChunk)],
  })
  const chain = chainV1([
    [ID(1), 1, one, TS(1)],
    [ID(2), 1, two, TS(2)],
    [ID(3), 1, three, TS(3)],
    [ID(1), 2, newer, TS(4)],
  ])
  const rows = chain.map(({ pi, ver, tip, ts, cid }) => ({
    pi,
    ver,
    tip: link(tip),
    ts,
    chain_cid: link(cid),
  }))
  let prev = null
  for (const [index, entries] of [rows.slice(0, 2), rows.slice(2)].entries())
    prev = put({ schema: 'arke/snapshot-chunk@v2', chunk_index: index, entries, prev: link(prev) })
  const root = put({
    schema: 'arke/snapshot@v3',
    seq: 2,
    ts: TS(5),
    prev_snapshot: link(seed),
    total_count: 4,
    chunk_size: 10000,
    entries_head: link(prev),
  })
  fixture(
    'snapshot-v3.car',
    root,
    'arke/snapshot@v3 over two chunks, an update as a duplicate; the entity 4 was dropped, as that builder did, and is in the snapshot before, of the first shape of @v2',
    {
      [ID(1)]: [2, newer, TS(4)],
      [ID(2)]: [1, two, TS(2)],
      [ID(3)]: [1, three, TS(3)],
      [ID(4)]: [1, dropped, TS(0)],
    },
    { only_in_history: 1 },
  )
}

function chainV0(pis) {
  let prev = null
  return pis.map(([pi, ts]) => {
    prev = put({ schema: 'arke/chain-entry@v0', pi, ts, prev: link(prev) })
    return prev
  })
}

function snapshotV0() {
  const one = manifest(ID(1), 1)
  const two = manifest(ID(2), 2, manifest(ID(2), 1))
  const chain = chainV0([
    [ID(1), TS(1)],
    [ID(2), TS(2)],
  ])
  const root = put({
    schema: 'arke/snapshot@v0',
    seq: 3,
    ts: TS(5),
    prev_snapshot: null,
    total_count: 2,
    entries: [
      { pi: ID(1), ver: 1, tip_cid: link(one), ts: TS(1), chain_cid: link(chain[0]) },
      { pi: ID(2), ver: 2, tip_cid: link(two), ts: TS(2), chain_cid: link(chain[1]) },
    ],
  })
  fixture('snapshot-v0.car', root, 'arke/snapshot@v0 over arke/chain-entry@v0', {
    [ID(1)]: [1, one, TS(1)],
    [ID(2)]: [2, two, TS(2)],
  })
  fixture(
    'chain-v0.car',
    chain[1],
    'arke/chain-entry@v0 alone: which entities there are, but not their tips',
    {},
    { no_tip: 2 },
  )
}

function eventChain(events, codec) {
  let prev = null
  return events.map(([type, pi, ver, tip, ts]) => {
    const event = {
      schema: 'arke/event@v1',
      type,
      pi,
      ver,
      tip_cid: link(tip),
      ts,
      prev: link(prev),
    }
    prev = put(event, codec)
    return prev
  })
}

function snapshotV1(name, about, codec, findings) {
  const first = manifest(ID(1), 1, null, codec)
  const tips = [manifest(ID(1), 2, first, codec), manifest(ID(2), 1, null, codec)]
  const events = eventChain(
    [
      ['create', ID(1), 1, first, TS(1)],
      ['create', ID(2), 1, tips[1], TS(2)],
      ['update', ID(1), 2, tips[0], TS(3)],
    ],
    codec === LINKS ? JSON_LINKS : MAPS,
  )
  const root = put({
    schema: 'arke/snapshot@v1',
    seq: 4,
    ts: TS(5),
    prev_snapshot: null,
    total_count: 2,
    event_cid: events[2],
    entries: [
      { pi: ID(2), ver: 1, tip_cid: link(tips[1]), ts: TS(2), chain_cid: link(events[1]) },
      { pi: ID(1), ver: 2, tip_cid: link(tips[0]), ts: TS(3), chain_cid: link(events[2]) },
    ],
  })
  const state = { [ID(1)]: [2, tips[0], TS(3)], [ID(2)]: [1, tips[1], TS(2)] }
  fixture(name, root, about, state, findings)
  return { events, state }
}

function events() {
  const linked = snapshotV1(
    'snapshot-v1.car',
    'arke/snapshot@v1 over arke/event@v1 in dag-json, as the migration wrote them',
    LINKS,
  )
  fixture(
    'events-linked.car',
    linked.events[2],
    'arke/event@v1 in dag-json, no snapshot',
    linked.state,
  )
  const maps = snapshotV1(
    'snapshot-v1-maps.car',
    'the same with events and manifests in dag-cbor with input-codec=json: links are plain maps, so older events, versions and components are not in the CAR',
    MAPS,
    { missing_event: 1, not_linked_missing: 3 },
  )
  fixture(
    'events-maps.car',
    maps.events[2],
    'its newest event alone: nothing else is linked',
    { [ID(1)]: maps.state[ID(1)] },
    { missing_manifest: 1, missing_recent: 1 },
  )
}

function chains() {
  const [one, two] = [manifest(ID(1), 1), manifest(ID(2), 1)]
  const newer = manifest(ID(1), 2, one)
  const chain = chainV1([
    [ID(1), 1, one, TS(1)],
    [ID(2), 1, two, TS(2)],
    [ID(1), 2, newer, TS(3)],
  ])
  fixture('chain-v1.car', chain[2].cid, 'arke/chain-entry@v1, no snapshot', {
    [ID(1)]: [2, newer, TS(3)],
    [ID(2)]: [1, two, TS(2)],
  })
}

/** All of its entities have one tip, so that the file shrinks well. */
function bigSnapshot() {
  const tip = put({ note: 'one tip for all' }, LINKS)
  const pis = Array.from({ length: 7000 }, (_, i) => `01K7BIG${String(i).padStart(19, '0')}`)
  const root = put({
    schema: 'arke/snapshot@v1',
    seq: 5,
    ts: TS(5),
    prev_snapshot: null,
    total_count: pis.length,
    event_cid: null,
    entries: pis.map((pi) => ({ pi, ver: 1, tip_cid: link(tip), ts: TS(1), chain_cid: null })),
  })
  fixture('big-v1.car', root, 'arke/snapshot@v1 in one block over 1 MiB', {})
  expected['big-v1.car'].all = { count: pis.length, ver: 1, tip, ts: Date.parse(TS(1)) }
}

/** As each program wrote them; the CIDs stand for any. */
function files() {
  const cid = put({ any: 1 }, LINKS)
  const v1 = {
    schema: 'arke/index-pointer@v1',
    latest_snapshot_cid: null,
    snapshot_seq: 0,
    snapshot_count: 0,
    snapshot_ts: null,
    recent_chain_head: cid,
    recent_count: 4,
    total_count: 4,
    last_updated: TS(1),
  }
  const v2 = {
    schema: 'arke/index-pointer@v2',
    event_head: cid,
    event_count: 4,
    latest_snapshot_cid: cid,
    snapshot_event_cid: cid,
    snapshot_seq: 1,
    snapshot_count: 3,
    snapshot_ts: TS(2),
    total_count: 3,
    last_updated: TS(2),
  }
  const { snapshot_event_cid: _, ...restored } = v2
  const pointers = {
    'pointer-v1.json': v1,
    'pointer-v1-trigger.json': { ...v1, last_snapshot_trigger: TS(1), snapshot_building: false },
    'pointer-v2.json': { ...v2, last_snapshot_trigger: null },
    'pointer-v2-restored.json': restored,
  }
  for (const [name, value] of Object.entries(pointers))
    writeFileSync(join(OUT, name), `${JSON.stringify(value, null, 2)}\n`)
  writeFileSync(join(OUT, 'bash.tip'), `${cid}\n`)
  writeFileSync(join(OUT, 'python.tip'), cid)
  expected.files = { cid }
}

try {
  mkdirSync(OUT, { recursive: true })
  ipfs(['init', '--empty-repo', '--algorithm=ed25519'])
  indexV1()
  snapshotV3()
  snapshotV0()
  events()
  chains()
  bigSnapshot()
  files()
  writeFileSync(join(OUT, 'expected.json'), `${JSON.stringify(expected, null, 2)}\n`)
} finally {
  rmSync(home, { recursive: true, force: true })
}
