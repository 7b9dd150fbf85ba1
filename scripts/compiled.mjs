/** Compiles a part of the project that is written in TypeScript, and runs it, with a Kubo node and MinIO at hand if wanted. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'

/**
 * `project` is its tsconfig, whose output goes to `node_modules/.cache/NAME`; `main` lies below that. Ends this
 * process when something fails.
 */
export function runCompiled({
  name,
  project,
  main,
  args,
  kubo: wantsKubo = true,
  minio: wantsMinio = false,
}) {
  const out = `node_modules/.cache/${name}`
  run(['node_modules/typescript/bin/tsc', '-p', project])
  mkdirSync(out, { recursive: true })
  // Below node_modules no package.json says what kind of modules these are.
  writeFileSync(`${out}/package.json`, '{ "type": "module" }\n')
  run([`${out}/${main}`, ...args], {
    ...(wantsKubo ? { KUBO_BIN: binaryOf('kubo') } : {}),
    ...(wantsMinio ? { MINIO_BIN: binaryOf('minio') } : {}),
  })
}

function binaryOf(server) {
  const found = spawnSync(process.execPath, [`scripts/${server}.mjs`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (found.status !== 0) process.exit(1)
  return found.stdout.trim()
}

function run(args, env = {}) {
  const { status } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  })
  if (status !== 0) process.exit(status ?? 1)
}
