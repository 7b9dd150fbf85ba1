/**
 * The durable steps of an operation, counted from outside: what it asks of its store, and what it does to
 * files. Only the child process of a self-test loads this, which may end itself at any of them.
 */
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import type { Backend } from '../../store/backend.ts'

/** Called when an effect begins; what it gives is called once the effect is under way. */
export type OnEffect = (name: string) => (() => void) | undefined

type Method = (...args: unknown[]) => unknown

/** Replaces methods by ones that tell first. The object stays the same one, by which its maker knows it. */
function tell<T extends object>(
  object: T,
  names: Readonly<Record<string, string>>,
  onEffect: OnEffect,
): T {
  const methods = object as Record<string, Method>
  for (const [method, name] of Object.entries(names)) {
    const real = methods[method]?.bind(object)
    if (real === undefined) continue
    methods[method] = (...args) => {
      const underWay = onEffect(name)
      const result = real(...args)
      underWay?.()
      return result
    }
  }
  return object
}

/** The same, for a method that gives an object with effects of its own. */
function tellGiven<T extends object>(
  object: T,
  method: string,
  names: Readonly<Record<string, string>>,
  onEffect: OnEffect,
): void {
  const methods = object as Record<string, Method>
  const real = methods[method]?.bind(object)
  if (real === undefined) return
  methods[method] = async (...args) => tell((await real(...args)) as object, names, onEffect)
}

export function watchBackend(backend: Backend, onEffect: OnEffect): Backend {
  tellGiven(
    backend,
    'stage',
    { put: 'put blocks', flush: 'flush', end: 'end of staging' },
    onEffect,
  )
  tellGiven(backend, 'sweep', { free: 'free', end: 'end of sweep' }, onEffect)
  tellGiven(backend, 'lease', { release: 'release' }, onEffect)
  return tell(
    backend,
    { stage: 'stage', sweep: 'sweep', lease: 'lease', commit: 'commit', forget: 'forget' },
    onEffect,
  )
}

/** Files in `folder`, and what is done with their names. */
export function watchFiles(folder: string, onEffect: OnEffect): void {
  const { open } = fs
  fs.open = async (path, ...more) => {
    const file = await open(path, ...more)
    if (!String(path).startsWith(folder)) return file
    const write = 'write file'
    return tell(file, { write, writev: write, writeFile: write, sync: 'sync file' }, onEffect)
  }
  tell(fs, { link: 'name file', rename: 'rename file' }, onEffect)
  syncBuiltinESMExports()
}
