/** Twenty deaths of a server with a session; `npm run kills:live` is the long run. */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { tempDir } from '../helpers/engine.ts'
import { killMachine } from './kill-machine.ts'

const SERVER = fileURLToPath(new URL('scene-server.mjs', import.meta.url))
const SEED = Number(process.env['KILLS_SEED'] ?? randomInt(2 ** 31))

test('what eight clients were told is kept when their server is killed, twenty times', async () => {
  const place = {
    dist: process.env['KILLS_DIST'] ?? (await builtDist()),
    server: SERVER,
    dir: join(await tempDir(), 'data'),
  }
  const outcome = await killMachine(place, { kills: 20, acked: 2000, seed: SEED })
  expect(outcome.problems, `KILLS_SEED=${SEED}`).toEqual([])
  expect(outcome.kills).toBeGreaterThanOrEqual(20)
}, 300_000)
