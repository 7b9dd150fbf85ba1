/** A folder for the files that targets read, gone when the process ends. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

let folder: string | undefined
let made = 0

function base(): string {
  if (folder !== undefined) return folder
  const created = mkdtempSync(join(tmpdir(), 'cairn-fuzz-'))
  process.on('exit', () => rmSync(created, { recursive: true, force: true }))
  return (folder = created)
}

export const scratch = {
  /** The same file every time, with other bytes. */
  file(name: string, bytes: Uint8Array): string {
    const path = join(base(), name)
    writeFileSync(path, bytes)
    return path
  },
  /** A new folder, the caller's to remove. */
  folder(): string {
    const path = join(base(), String(made++))
    mkdirSync(path)
    return path
  },
}
