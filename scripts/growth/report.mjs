/** Curves and laws as a table and as a picture. */
import { printMachine } from '../charts/machine.mjs'
import { printNumber, printShort } from '../charts/numbers.mjs'
import { table } from '../charts/page.mjs'
import { chartPage } from '../charts/svg.mjs'
import { fitGrowth } from './fit.mjs'

const FAR = 1_000_000_000

const MEAN_LEAF = 4_773
const UPDATES = 1_000

/** A build rewrites the leaves that its updates are in: all of them, or one for each update. */
const LEAVES_TOUCHED = { name: 'leaves touched', of: (n) => Math.min(n / MEAN_LEAF, UPDATES) }

const FIGURES = [
  { figure: 'load', title: 'bulk load', unit: 'ms' },
  { figure: 'build', title: 'build, 1,000 updates spread', unit: 'ms', known: LEAVES_TOUCHED },
  { figure: 'lookup, us', title: 'lookup of a random id', unit: 'us' },
  { figure: 'page, us', title: 'page of 100 at any offset', unit: 'us' },
  { figure: 'export', title: 'export', unit: 'ms' },
  { figure: 'restore', title: 'verified restore', unit: 'ms' },
  { figure: 'store, bytes', title: 'store on disk', unit: 'bytes' },
  { figure: 'CAR, bytes', title: 'CAR', unit: 'bytes' },
  { figure: 'load, MB', title: 'memory of a bulk load', unit: 'MB' },
  { figure: 'build, MB', title: 'memory of a build', unit: 'MB' },
  { figure: 'page, MB', title: 'memory of paging', unit: 'MB' },
  { figure: 'export, MB', title: 'memory of an export', unit: 'MB' },
  { figure: 'restore, MB', title: 'memory of a restore', unit: 'MB' },
]

const pointsOf = (sizes, figure) => sizes.map(({ size, figures }) => [size, figures[figure]])

/** Each figure with its fit, for the JSON. */
export function curvesOf(sizes) {
  return FIGURES.map(({ figure, title, unit, known }) => {
    const points = pointsOf(sizes, figure)
    const { law, a, b, error, slope, r2, at } = fitGrowth(points, known)
    const far = at(FAR)
    return { figure, title, unit, points, law, a, b, error, slope, r2, far, at }
  })
}

export function growthTable(machine, curves) {
  const sizes = curves[0]?.points.map(([size]) => size) ?? []
  const shown = sizes.filter((size) => Number.isInteger(Math.log10(size)) || size === sizes.at(-1))
  const head = [
    'what',
    ...shown.map(printShort),
    'slope',
    'R²',
    'law',
    'largest / law',
    `at ${printShort(FAR)}`,
  ]
  const rows = curves.map(({ title, unit, points, slope, r2, law, error, far, at }) => [
    `${title}, ${unit}`,
    ...shown.map((size) => printNumber(points.find(([one]) => one === size)?.[1] ?? Number.NaN)),
    slope.toFixed(2),
    r2.toFixed(2),
    `${law} (±${Math.round(error * 100)}%)`,
    largestToLaw(points, at),
    printFar(far, unit),
  ])
  return `${printMachine(machine)}.\n\n${table(head, rows)}`
}

/** Where this is far from 1 the law misses the very point that it is to go on from. */
function largestToLaw(points, at) {
  const [size, value] = points.at(-1)
  return (value / at(size)).toFixed(2)
}

/** In words that a person has a feeling for. */
function printFar(value, unit) {
  if (unit === 'us') return `${printNumber(value)} us`
  if (unit === 'MB') return `${printNumber(value)} MB`
  if (unit === 'bytes') return `${printNumber(value / 1e9)} GB`
  return value > 120_000 ? `${printNumber(value / 60_000)} min` : `${printNumber(value / 1000)} s`
}

const PANELS = [
  { title: 'Time of a step', unit: 'ms', figures: ['load', 'build', 'export', 'restore'] },
  { title: 'Time of a read', unit: 'us', figures: ['lookup, us', 'page, us'] },
  { title: 'Bytes on disk', unit: 'bytes', figures: ['store, bytes', 'CAR, bytes'] },
  {
    title: 'Anonymous memory, peak',
    unit: 'MB',
    figures: ['load, MB', 'build, MB', 'page, MB', 'export, MB', 'restore, MB'],
  },
]

const nameOf = (figure) => figure.split(',')[0].replace('load', 'bulk load')

/** What the law says, from the largest size measured on. */
function beyond({ points, at }) {
  const largest = points.at(-1)[0]
  const sizes = Array.from({ length: 13 }, (_, i) => largest * (FAR / largest) ** (i / 12))
  return sizes.map((size) => [size, at(size)])
}

/** Lines are measured, dashes what their laws say. */
export function growthChart(curves) {
  const names = [...new Set(PANELS.flatMap(({ figures }) => figures.map(nameOf)))]
  const panels = PANELS.map(({ title, unit, figures }) => ({
    title,
    unit,
    lines: figures.flatMap((figure) => {
      const curve = curves.find((one) => one.figure === figure)
      return curve === undefined
        ? []
        : [{ name: nameOf(figure), points: curve.points, fit: beyond(curve) }]
    }),
  }))
  const title = 'Growth of an embedded dataset: measured (lines) and predicted (dashes)'
  return chartPage({ title, names, xLabel: 'entities', panels, columns: 2 })
}
