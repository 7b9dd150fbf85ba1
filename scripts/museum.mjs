/** A made-up museum: 10,000 objects, some with a drawing, as they came and changed over thirty days. */
import { CID } from 'multiformats/cid'

const DAY = 86_400_000
const DAYS = 30
const FIRST = 8_550
const NEW_A_DAY = 50
const CHANGED_A_DAY = 60
const LENT_A_DAY = 2
const BATCH = 500
const CHUNK_SIZE = 500

const KINDS = ['amphora', 'astrolabe', 'bronze', 'coin', 'globe', 'letter', 'loom', 'map', 'mask']
const MATERIALS = ['clay', 'brass', 'bronze', 'silver', 'paper', 'oak', 'wool', 'glass', 'stone']
const REASONS = { 0: 'first import', 12: 'before the move', 13: 'after the move', 27: 'inventory' }

/** The same museum every time. */
function randomOf(seed) {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const idOf = (n) => `object:${String(n).padStart(5, '0')}`

function drawingOf(n, hue) {
  const corners = 3 + (n % 5)
  const points = Array.from({ length: corners }, (_, i) => {
    const angle = (2 * Math.PI * i) / corners
    return `${Math.round(50 + 40 * Math.cos(angle))},${Math.round(50 + 40 * Math.sin(angle))}`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><polygon fill="hsl(${hue} 60% 50%)" points="${points.join(' ')}"/></svg>`
}

function objectOf(n, random, drawings) {
  const kind = KINDS[n % KINDS.length]
  const value = {
    title: `${kind[0].toUpperCase()}${kind.slice(1)} no. ${n}`,
    material: MATERIALS[random(MATERIALS.length)],
    year: 1100 + random(800),
    room: 1 + random(24),
    condition: ['good', 'fair', 'fragile'][random(3)],
  }
  return n % 20 === 0 ? { ...value, drawing: drawings[n % drawings.length] } : value
}

async function putDrawings(dataset) {
  const puts = Array.from({ length: 24 }, (_, n) => ({
    pi: `drawing:${String(n).padStart(2, '0')}`,
    value: Buffer.from(drawingOf(n, n * 15)),
  }))
  const put = await dataset.putBatch(puts)
  return put.map(({ tip }) => CID.decode(tip))
}

/** Puts the museum into `cairn`, whose clock is `clock.now`: the last of its days ends now. */
export async function fillMuseum(cairn, clock) {
  const random = randomOf(42)
  const end = Date.now() - 60_000
  clock.now = end - DAYS * DAY
  const init = { content: 'linked', chunkSize: CHUNK_SIZE }
  const { dataset } = await cairn.init('main', init)
  const drawings = await putDrawings(dataset)
  const put = async (numbers) => {
    for (let at = 0; at < numbers.length; at += BATCH) {
      const some = numbers.slice(at, at + BATCH)
      await dataset.putBatch(
        some.map((n) => ({ pi: idOf(n), value: objectOf(n, random, drawings) })),
      )
    }
  }
  let count = FIRST
  await put(Array.from({ length: FIRST }, (_, n) => n))
  for (let day = 0; day < DAYS; day++) {
    clock.now = end - (DAYS - 1 - day) * DAY
    await put(Array.from({ length: NEW_A_DAY }, () => count++))
    // The curators go through the collection, a room a day.
    const from = random(FIRST - 600)
    const seen = new Set(Array.from({ length: CHANGED_A_DAY }, () => from + random(400)))
    await put([...seen])
    const lent = new Set(Array.from({ length: LENT_A_DAY }, () => random(count)))
    await dataset.appendBatch([...lent].map((n) => ({ pi: idOf(n), tip: null })))
    await dataset.build({ reason: REASONS[day] ?? 'nightly' })
  }
  await put([1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
}
