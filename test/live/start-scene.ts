/** Scene servers of tests: gone when the test has finished. */
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { startScene, type Scene, type SceneOptions } from './scene.ts'

const SERVER = fileURLToPath(new URL('scene-server.mjs', import.meta.url))

/** What `session_metadata.json` says. */
export interface Facts {
  readonly datetime: string
  readonly reason: string
  readonly user_count: number
}

export interface State {
  readonly state: string
  readonly users: readonly string[]
  readonly restored: { readonly from: string }
  readonly health: { readonly healthy: boolean; readonly problems: readonly string[] }
}

export async function scene(dir: string, options: SceneOptions): Promise<Scene> {
  const started = startScene({ dist: await builtDist(), server: SERVER, dir }, options)
  onTestFinished(async () => {
    started.child.kill('SIGKILL')
    await started.ended()
  })
  return started
}

/** What it said until it listened. */
export const startOn = ({ lines }: Scene): string[] =>
  lines.slice(
    0,
    lines.findIndex((line) => line.startsWith('listening')),
  )
