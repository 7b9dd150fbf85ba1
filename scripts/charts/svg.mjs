/** Line charts on logarithmic axes as an SVG, several in a grid, readable on light and on dark. */
import { printShort } from './numbers.mjs'

const CELL = { width: 360, height: 250, left: 62, right: 14, top: 34, bottom: 40 }
const LEGEND_ROW = 22
const LEGEND_WIDTH = 150
const MARKS = ['circle', 'square', 'triangle', 'diamond']

/**
 * `panels` are `{title, unit, lines: [{name, points: [[x, y]], fit?: [[x, y]]}]}`; a line's colour and mark go by
 * its place in `names`.
 */
export function chartPage({ title, names, xLabel, panels, columns = 3 }) {
  const across = Math.min(columns, panels.length)
  const width = across * CELL.width
  const perRow = Math.max(1, Math.floor((width - 20) / LEGEND_WIDTH))
  const legendHeight = Math.ceil(names.length / perRow) * LEGEND_ROW + 46
  const height = Math.ceil(panels.length / across) * CELL.height + legendHeight
  const cells = panels.map((panel, i) =>
    place(
      (i % across) * CELL.width,
      legendHeight + Math.floor(i / across) * CELL.height,
      drawPanel(panel, names, xLabel),
    ),
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">`,
    `<style>${styles(names.length)}</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    `<text class="head" x="14" y="24">${escape(title)}</text>`,
    ...names.map((name, i) =>
      place(
        14 + (i % perRow) * LEGEND_WIDTH,
        46 + Math.floor(i / perRow) * LEGEND_ROW,
        legendEntry(name, i),
      ),
    ),
    ...cells,
    '</svg>',
    '',
  ].join('\n')
}

/** Eight colours that stay apart for the colour-blind, each in a dark and a light form. */
const COLOURS = [
  ['#0b5cad', '#6cb6ff'],
  ['#b45309', '#f0a24a'],
  ['#0f766e', '#4fd1c5'],
  ['#b91c4a', '#ff8fab'],
  ['#6d28d9', '#c4a7ff'],
  ['#4d7c0f', '#b5d65a'],
  ['#57534e', '#c7c2bd'],
  ['#a21caf', '#f19bf5'],
]

function styles(count) {
  const lines = (which) =>
    COLOURS.slice(0, count)
      .map((pair, i) => `.l${i}{stroke:${pair[which]}}.m${i}{fill:${pair[which]}}`)
      .join('')
  const theme = ([paper, ink, soft, grid]) =>
    `.paper{fill:${paper}}text{fill:${ink}}.soft{fill:${soft}}.grid{stroke:${grid}}.frame{stroke:${soft}}`
  return [
    'text{font:11px system-ui,"DejaVu Sans",sans-serif}.head{font-size:15px;font-weight:600}',
    '.title{font-size:12px;font-weight:600}.line{fill:none;stroke-width:2}.fit{stroke-dasharray:3 4;stroke-width:1.3;opacity:.8}',
    '.grid{stroke-width:.6}.frame{fill:none;stroke-width:.8}',
    theme(['#ffffff', '#1f2328', '#59636e', '#d8dee4']),
    lines(0),
    `@media (prefers-color-scheme:dark){${theme(['#0d1117', '#e6edf3', '#9198a1', '#30363d'])}${lines(1)}}`,
  ].join('')
}

function drawPanel({ title, unit, lines }, names, xLabel) {
  const points = lines.flatMap(({ points: measured, fit = [] }) => [...measured, ...fit])
  const [x, y] = [decades(points.map(([one]) => one)), decades(points.map(([, one]) => one))]
  const { left, top } = CELL
  const [plotWidth, plotHeight] = [CELL.width - left - CELL.right, CELL.height - top - CELL.bottom]
  const at = ([px, py]) => [left + x.share(px) * plotWidth, top + (1 - y.share(py)) * plotHeight]
  const [right, bottom] = [left + plotWidth, top + plotHeight]
  return [
    `<text class="title" x="${left}" y="${top - 10}">${escape(title)}</text>`,
    ...x.ticks.map((tick) => {
      const [px] = at([tick, y.low])
      return `<line class="grid" x1="${r(px)}" y1="${top}" x2="${r(px)}" y2="${bottom}"/><text class="soft" text-anchor="middle" x="${r(px)}" y="${bottom + 15}">${printShort(tick)}</text>`
    }),
    ...y.ticks.map((tick) => {
      const [, py] = at([x.low, tick])
      return `<line class="grid" x1="${left}" y1="${r(py)}" x2="${right}" y2="${r(py)}"/><text class="soft" text-anchor="end" x="${left - 6}" y="${r(py + 4)}">${printShort(tick)}</text>`
    }),
    `<rect class="frame" x="${left}" y="${top}" width="${plotWidth}" height="${plotHeight}"/>`,
    `<text class="soft" text-anchor="middle" x="${left + plotWidth / 2}" y="${bottom + 30}">${escape(xLabel)}</text>`,
    `<text class="soft" text-anchor="middle" transform="translate(14 ${top + plotHeight / 2}) rotate(-90)">${escape(unit)}</text>`,
    ...lines.map((line) => drawLine(line, names.indexOf(line.name), at)),
  ].join('\n')
}

function drawLine({ points, fit }, index, at) {
  const path = (all) => all.map((point) => at(point).map(r).join(',')).join(' ')
  const dashed = fit ? `<polyline class="line fit l${index}" points="${path(fit)}"/>` : ''
  const marks = points.map((point) => mark(index, at(point))).join('')
  return `${dashed}<polyline class="line l${index}" points="${path(points)}"/>${marks}`
}

function mark(index, [x, y]) {
  const kind = MARKS[index % MARKS.length]
  const polygon = (corners) =>
    `<polygon class="m${index}" points="${corners.map(([dx, dy]) => `${r(x + dx)},${r(y + dy)}`).join(' ')}"/>`
  if (kind === 'circle') return `<circle class="m${index}" cx="${r(x)}" cy="${r(y)}" r="3.4"/>`
  if (kind === 'triangle')
    return polygon([
      [0, -4.4],
      [4, 3.2],
      [-4, 3.2],
    ])
  if (kind === 'diamond')
    return polygon([
      [0, -4.6],
      [4.6, 0],
      [0, 4.6],
      [-4.6, 0],
    ])
  return polygon([
    [-3.2, -3.2],
    [3.2, -3.2],
    [3.2, 3.2],
    [-3.2, 3.2],
  ])
}

const legendEntry = (name, index) =>
  `<line class="line l${index}" x1="0" y1="0" x2="24" y2="0"/>${mark(index, [12, 0])}<text x="32" y="4">${escape(name)}</text>`

/** A logarithmic axis: whole decades, or halves of them where there is but one. */
function decades(values) {
  const usable = values.filter((value) => value > 0)
  const low = 10 ** Math.floor(Math.log10(Math.min(...usable)))
  const high = 10 ** Math.max(Math.ceil(Math.log10(Math.max(...usable))), Math.log10(low) + 1)
  const span = Math.log10(high / low)
  const steps = Array.from({ length: Math.round(span) + 1 }, (_, i) => low * 10 ** i)
  const ticks = span > 1 ? steps : [low, low * 2, low * 5, high]
  return { low, ticks, share: (value) => Math.log10(value / low) / span }
}

const place = (x, y, inner) => `<g transform="translate(${x} ${y})">${inner}</g>`
const r = (value) => Math.round(value * 10) / 10
const escape = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
