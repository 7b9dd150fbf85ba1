import type { Config } from '../../config/resolve.ts'
import { SETTINGS, SETTING_NAMES } from '../../config/schema.ts'
import { maskSecret, maskUrls } from '../../config/secrets.ts'
import type { CommandSpec } from '../command.ts'
import { printable } from '../format.ts'

export const config: CommandSpec = {
  examples: [
    ['cairn config', 'every setting, its value and its origin'],
    ['CAIRN_STORE=kubo cairn config --json', 'secrets are masked'],
  ],
  define: () => {},
  run: async ({ config: given, output }) => {
    const settings = maskedSettings(given)
    if (output.json) return output.document({ settings, config_file: given.file ?? null })
    const rows = SETTING_NAMES.map((name) => {
      const { value, origin } = settings[name] ?? { value: null, origin: '' }
      const shown = value ?? SETTINGS[name].fallbackText ?? '-'
      return [name, printable(String(shown)), origin] as const
    })
    const widths = [0, 1].map((i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
    for (const [name, value, origin] of rows) {
      await output.line(
        `${name.padEnd(widths[0] ?? 0)}  ${value.padEnd(widths[1] ?? 0)}  ${origin}`,
      )
    }
  },
}

export interface ShownSetting {
  readonly value: string | number | readonly string[] | null
  readonly origin: string
}

/** All settings fit for showing. */
export function maskedSettings({
  values,
  origins,
}: Config): Readonly<Record<string, ShownSetting>> {
  return Object.fromEntries(
    SETTING_NAMES.map((name) => {
      const value = values[name]
      const shown = typeof value === 'string' ? maskUrls(value) : value
      const masked =
        SETTINGS[name].secret === true ? maskSecret(value === null ? null : String(value)) : shown
      return [name, { value: masked, origin: origins[name] }]
    }),
  )
}
