/** The tables of settings, errors and metrics. */
import { code, fillMarks, table } from './text.mjs'

export function configPage(page, { SETTINGS, BASIS }) {
  const rows = Object.entries(SETTINGS).map(([name, setting]) => {
    const { env, flag, kind, fallbackText, fallback, description, secret } = setting
    const value = fallbackText ?? fallback(BASIS)
    return [
      code(name),
      flag === undefined ? '-' : code(flag),
      env.map(code).join(', '),
      kind.shape,
      value === null ? '-' : value,
      secret === true ? `${description} (secret)` : description,
    ]
  })
  const head = ['setting', 'flag', 'environment', 'values', 'default', 'what for']
  return fillMarks(page, () => table(head, rows))
}

/** Codes, exit codes and statuses are those of the code; what they mean is kept from the page. */
export function errorsPage(page, { ERROR_CODES }) {
  const told = new Map(
    [...page.matchAll(/^\| `(\w+)` *\|[^|]*\|[^|]*\|(.*)\|(.*)\|$/gm)].map(
      ([, name, means, todo]) => [name, [means.trim(), todo.trim()]],
    ),
  )
  const rows = Object.entries(ERROR_CODES).map(([name, { exit, http }]) => {
    const texts = told.get(name)
    if (texts === undefined)
      throw new Error(
        `docs/ERRORS.md: write a row for \`${name}\`: | \`${name}\` | | | MEANS | DO |`,
      )
    return [code(name), exit, http, ...texts]
  })
  const head = ['code', 'exit', 'HTTP', 'what it means', 'what to do']
  return fillMarks(page, () => table(head, rows))
}

/** A mark names the metrics of its table, in their order. */
export function metricsPage(page, metrics) {
  const own = new Map(metrics.map((metric) => [metric.name, metric]))
  const shown = new Set()
  const made = fillMarks(page, (names) => {
    const rows = names.split(' ').map((name) => {
      const { type, labelNames, help } = own.get(`cairn_${name}`) ?? {}
      if (type === undefined) throw new Error(`docs/METRICS.md: there is no metric cairn_${name}`)
      shown.add(`cairn_${name}`)
      return [code(`cairn_${name}`), type, labelNames.map(code).join(', '), help]
    })
    return table(['metric', 'type', 'labels', 'what'], rows)
  })
  const left = [...own.keys()].filter((name) => name.startsWith('cairn_') && !shown.has(name))
  if (left.length > 0) throw new Error(`docs/METRICS.md has no place for ${left.join(', ')}`)
  return made
}
