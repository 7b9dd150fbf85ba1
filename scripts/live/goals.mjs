/** What is wanted of saving, and what came of it. */
import { median, printNumber } from '../charts/numbers.mjs'

/** At which the goals are set. */
const GOAL_SIZE = 10_000

const WAYS = { source: 'attached source', map: 'map writes' }

export function goalRows({ cells, idle, memory }) {
  return [
    ...saveRows(cells, 0.01, 'ms', 50, ' ms'),
    ...saveRows(cells, 0.01, 'p99', 20, ' ms'),
    ...saveRows(cells, 1, 'ms', 200, ' ms'),
    ...idle.map(({ way, size, percent, seconds }) =>
      row(`idle, ${sized(size)}, ${WAYS[way]}`, percent, 1, '% of a core', {
        seconds,
        'saves every': '10 s',
      }),
    ),
    ...memoryRows(memory),
  ]
}

const sized = (size) => `${size.toLocaleString('en')} objects`

const KINDS = { ms: 'save', p99: 'event-loop delay p99 of a save' }

function saveRows(cells, share, figure, limit, unit) {
  return cells
    .filter((cell) => cell.size === GOAL_SIZE && cell.share === share && cell.way in WAYS)
    .map(({ way, size, rounds }) => {
      const values = rounds.map((one) => one[figure])
      const name = `${KINDS[figure]}, ${sized(size)}, ${share * 100}% changed, ${WAYS[way]}`
      const spread = `${printNumber(Math.min(...values))}..${printNumber(Math.max(...values))}`
      return row(name, median(values), limit, unit, { rounds: spread })
    })
}

/** Over a process that has the data and the code, and saves nothing. */
function memoryRows(memory) {
  const of = (one, figure) => median(one.rounds.map((figures) => figures[figure]))
  const [alone, loaded, ...ours] = memory
  return ours.map((one) => {
    const beyond = (figure, base = loaded) => of(one, figure) - of(base, figure)
    const name = `memory beyond the data, ${sized(one.size)}, ${WAYS[one.way]}`
    return row(name, beyond('usedMb'), 10 + changedMb(one), ' MB', {
      'with the code': `${printNumber(beyond('usedMb', alone))} MB`,
      'RssAnon beyond the data': `${printNumber(beyond('anonymousMb', alone))} MB`,
    })
  })
}

const changedMb = ({ size, share }) => (size * share * 500) / 2 ** 20

function row(name, value, limit, unit, details) {
  return [
    name,
    `${printNumber(value)}${unit}`,
    `under ${printNumber(limit)}${unit}`,
    value < limit ? 'met' : 'missed',
    Object.entries(details)
      .map(([key, one]) => `${key} ${one}`)
      .join(', '),
  ]
}
