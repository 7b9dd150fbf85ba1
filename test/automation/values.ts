/** Settings for tests: nothing happens by itself but what a test switches on. */
import { SETTING_NAMES, SETTINGS, type Values } from '../../src/config/schema.ts'

/** As they are when nothing is set. */
export function defaultValues(dataDir = '/nowhere'): Values {
  const basis = { data_dir: dataDir, chain_limit: 10_000 }
  const all = SETTING_NAMES.map((name) => [name, SETTINGS[name].fallback(basis)] as const)
  return { ...(Object.fromEntries(all) as unknown as Values), data_dir: dataDir }
}

export function quietValues(given: Partial<Values> = {}): Values {
  return {
    ...defaultValues(given.data_dir),
    save_interval: 0,
    save_rules: 'never',
    max_lag: 0,
    build_schedule: 'never',
    export_schedule: 'never',
    prune_schedule: 'never',
    verify_schedule: 'never',
    drill_schedule: 'never',
    ...given,
  }
}
