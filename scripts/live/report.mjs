/** The figures of saving as tables, beside what is wanted of them, and as a picture. */
import { printMachine } from '../charts/machine.mjs'
import { median, printNumber } from '../charts/numbers.mjs'
import { table } from '../charts/page.mjs'
import { chartPage } from '../charts/svg.mjs'
import { goalRows } from './goals.mjs'

const largest = (values) => Math.max(...values)

const FIGURES = [
  { title: 'Time of a save, ms', of: 'ms', sum: median },
  { title: 'Written to the disk, kB', of: 'bytes', sum: median, scale: 1000 },
  { title: 'Event-loop delay during a save, p99, ms', of: 'p99', sum: median },
  {
    title: 'Event-loop delay during a save, the longest of all rounds, ms',
    of: 'max',
    sum: largest,
  },
  { title: 'Processor time of a save, ms', of: 'cpu', sum: median },
]

const valueOf = ({ of, sum, scale = 1 }, cell) =>
  sum(cell.rounds.map((figures) => figures[of])) / scale

export function liveTables(results, ways) {
  const { machine, redis, cells } = results
  const rounds = cells[0].rounds.length
  return [
    `${printMachine(machine)}${redis ? `, Redis ${redis}` : ''}. Rounds: ${rounds}.`,
    table(['what', 'measured', 'goal', '', 'details'], goalRows(results)),
    ...FIGURES.map((figure) => `${figure.title}:\n\n${figureTable(figure, cells, ways)}`),
  ].join('\n\n')
}

function figureTable(figure, cells, ways) {
  const names = new Set(cells.map(({ way }) => way))
  const columns = ways.filter(({ name }) => names.has(name))
  const places = new Map(cells.map((cell) => [`${cell.size} ${cell.share}`, cell]))
  const rows = [...places.values()].map(({ size, share }) => [
    `${size.toLocaleString('en')} objects, ${share * 100}%`,
    ...columns.map(({ name }) => {
      const isIt = (one) => one.way === name && one.size === size && one.share === share
      return print(valueOf(figure, cells.find(isIt)))
    }),
  ])
  return table(['changed', ...columns.map(({ label }) => label)], rows)
}

const print = (value) => (value === 0 ? '0' : printNumber(value))

const PICTURED = [
  { of: 'ms', title: 'Time of a save', unit: 'ms' },
  { of: 'max', title: 'Longest event-loop stall', unit: 'ms' },
]

/** Cost against the number of objects, for saves of a little and of everything. */
export function liveChart({ cells }, ways) {
  const drawn = ways.filter(({ name }) => cells.some(({ way }) => way === name))
  const panels = PICTURED.flatMap(({ of, title, unit }) =>
    [0.01, 1].map((share) => ({
      title: `${title}, ${share * 100}% changed`,
      unit,
      lines: drawn.map(({ name, label }) => ({
        name: label,
        points: cells
          .filter((cell) => cell.way === name && cell.share === share)
          .map((cell) => [
            cell.size,
            valueOf(
              FIGURES.find((one) => one.of === of),
              cell,
            ),
          ]),
      })),
    })),
  )
  const names = drawn.map(({ label }) => label)
  const title = 'What saving a live state costs (lower is better)'
  return chartPage({ title, names, xLabel: 'objects', panels, columns: 2 })
}
