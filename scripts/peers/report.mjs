/** The figures of all engines as a table and as a picture. */
import { chartPage } from '../charts/svg.mjs'
import { median, printNumber } from '../charts/numbers.mjs'
import { printMachine } from '../charts/machine.mjs'
import { table } from '../charts/page.mjs'
import { WORKLOADS } from './plan.mjs'

const isSame = (workload, size) => (cell) =>
  cell.task === workload.task &&
  cell.figure === workload.figure &&
  cell.clients === workload.clients &&
  cell.size === size

/** One row a workload and size, one column an engine. */
export function peersTable({ machine, versions, cells }, engines) {
  const sizes = [...new Set(cells.flatMap(({ size }) => size ?? []))]
  const rows = WORKLOADS.flatMap((workload) =>
    (workload.sized ? sizes : [undefined]).map((size) => rowOf(workload, size, cells, engines)),
  )
  const shown = engines.map(({ name, label }) => `${label} ${versions[name]}`).join(', ')
  return `${printMachine(machine)}. ${shown}. Rounds: ${roundsOf(cells)}.\n\n${table(['what', ...engines.map(({ label }) => label)], rows)}`
}

/** The least and the most that any figure rests on. */
function roundsOf(cells) {
  const counts = cells.map(({ values }) => values.filter((value) => value !== null).length)
  return `${Math.min(...counts)} to ${Math.max(...counts)}`
}

function rowOf(workload, size, cells, engines) {
  const found = cells.filter(isSame(workload, size))
  const ours = found.find(({ engine }) => engine === 'cairn')?.values ?? []
  const title =
    size === undefined ? workload.title : `${workload.title}, ${size.toLocaleString('en')}`
  const columns = engines.map(({ name }) => {
    const values = found.find(({ engine }) => engine === name)?.values
    return values === undefined ? '-' : cellOf(values, ours, workload.unit, name === 'cairn')
  })
  return [`${title}, ${workload.unit}`, ...columns]
}

/** The median, its spread, and in bold how many times as fast (or as small) Cairn was, with the spread of that. */
function cellOf(values, ours, unit, isOurs) {
  const real = values.filter((value) => value !== null)
  const spread = real.length < 2 || unit === 'bytes' ? '' : ` (${printRange(real)})`
  const plain = `${printNumber(median(real))}${spread}`
  const ratios = isOurs ? [] : ratiosOf(values, ours, unit)
  if (ratios.length === 0) return plain
  const range = ratios.length < 2 || unit === 'bytes' ? '' : ` (${printRange(ratios)})`
  return `${plain}; **x${printNumber(median(ratios))}**${range}`
}

/** Of each round its own: what disturbed the machine disturbed both. */
function ratiosOf(theirs, ours, unit) {
  return theirs.flatMap((value, round) => {
    const mine = ours[round] ?? null
    if (value === null || mine === null) return []
    return [unit === '/s' ? mine / value : value / mine]
  })
}

const printRange = (values) =>
  `${printNumber(Math.min(...values))}..${printNumber(Math.max(...values))}`

const PICTURED = [
  'build',
  'scattered',
  'scattered, root',
  'newest, root',
  'lookup, us',
  'scan',
  'save',
  'restore',
]

/** Cost against size. */
export function peersChart({ cells }, engines) {
  const sized = WORKLOADS.filter(({ figure, sized: bySize }) => bySize && PICTURED.includes(figure))
  const drawn = engines.filter(({ name }) =>
    cells.some(({ engine, size }) => engine === name && size !== undefined),
  )
  const panels = sized.map((workload) => ({
    title: pictureTitle(workload),
    unit: workload.unit,
    lines: drawn.flatMap(({ name, label }) => {
      const points = cells
        .filter((cell) => cell.engine === name && isSame(workload, cell.size)(cell))
        .map(({ size, values }) => [size, median(values.filter((value) => value !== null))])
      return points.length === 0 ? [] : [{ name: label, points }]
    }),
  }))
  const names = drawn.map(({ label }) => label)
  const title = 'Cost against size, beside other engines (lower is better)'
  return chartPage({ title, names, xLabel: 'records', panels, columns: 2 })
}

const pictureTitle = ({ figure, title }) =>
  figure.endsWith(', root') ? `5,000 updates, ${figure.replace(', root', '')}, with a root` : title
