/** Kills primaries under load and promotes their replicas: `npm run failover -- --rounds 20 --clients 16 --ms 5000 --seed 7`. */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    clients: { type: 'string', default: '8' },
    ms: { type: 'string', default: '3000' },
    seed: { type: 'string', default: '1' },
  },
})
const { status } = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', 'test/failover'],
  {
    stdio: 'inherit',
    env: {
      ...process.env,
      FAILOVER_ROUNDS: values.rounds,
      FAILOVER_CLIENTS: values.clients,
      FAILOVER_MS: values.ms,
      FAILOVER_SEED: values.seed,
    },
  },
)
process.exitCode = status ?? 1
