/** The figures beside what is wanted of them. */
import { printMachine } from '../charts/machine.mjs'
import { median, printNumber } from '../charts/numbers.mjs'
import { table } from '../charts/page.mjs'

export const above = (limit, unit = '') => ({
  text: `over ${printNumber(limit)}${unit}`,
  limit,
  side: 'above',
})
export const below = (limit, unit = '') => ({
  text: `under ${printNumber(limit)}${unit}`,
  limit,
  side: 'below',
})
export const NONE = { text: 'none', limit: 0, side: 'equal' }

const MET = {
  above: (value, limit) => value > limit,
  below: (value, limit) => value < limit,
  equal: (value, limit) => value === limit,
}

const isMet = ({ value, goal }) => MET[goal.side](value, goal.limit)

export function serviceTable({ machine, rows }) {
  const cells = rows.map((row) => {
    const verdict =
      row.goal === undefined ? ['', ''] : [row.goal.text, isMet(row) ? 'met' : 'missed']
    return [row.name, printed(row), ...verdict, printDetails(row.details)]
  })
  const head = ['what', 'measured', 'goal', '', 'details']
  return `${printMachine(machine)}; the clients share the cores with the service.\n\n${table(head, cells)}`
}

const printed = ({ value, unit }) =>
  `${value === 0 ? '0' : printNumber(value)}${unit === '' ? '' : ` ${unit}`}`

const printDetails = (details) =>
  Object.entries(details)
    .map(([name, value]) => `${name} ${typeof value === 'number' ? printDetail(value) : value}`)
    .join(', ')

const printDetail = (value) => (value === 0 ? '0' : printNumber(value))

/** Medians of the same figures, measured several times. */
export const medians = (all, ...names) =>
  Object.fromEntries(names.map((name) => [name, median(all.map((one) => one[name]))]))

/** What memory came to in the end, over what it was before: 0 where it does not grow. */
export function growthOf(samples) {
  const quarter = (n) => samples.slice((samples.length * n) >> 2, (samples.length * (n + 1)) >> 2)
  return median(quarter(3)) - median(quarter(1))
}
