/** Small pictures of numbers: bars that are filled in part, and histories one sign wide for each value. */

const LEVELS = '▁▂▃▄▅▆▇█'
const ASCII_LEVELS = '_.-:=+*#'

/** The last `width` values. From zero up; `floating`: from the least of them up. */
export function spark(
  values: readonly number[],
  width: number,
  { utf8, floating = false }: { readonly utf8: boolean; readonly floating?: boolean },
): string {
  if (values.length < 2 || width < 1) return ''
  const shown = values.slice(-width)
  const most = Math.max(...shown)
  const least = floating ? Math.min(...shown) : Math.min(0, ...shown)
  const levels = utf8 ? LEVELS : ASCII_LEVELS
  return shown
    .map((value) => {
      const part = most > least ? (value - least) / (most - least) : 0
      return levels[Math.min(levels.length - 1, Math.floor(part * levels.length))]
    })
    .join('')
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

export function bar(part: number, width: number, utf8: boolean): string {
  const within = Math.min(1, Math.max(0, Number.isFinite(part) ? part : 0))
  if (!utf8) {
    const full = Math.round(within * width)
    return '#'.repeat(full) + '.'.repeat(width - full)
  }
  const eighths = Math.round(within * width * 8)
  const full = '█'.repeat(Math.floor(eighths / 8))
  const rest = EIGHTHS[eighths % 8] ?? ''
  return full + rest + '░'.repeat(width - full.length - rest.length)
}
