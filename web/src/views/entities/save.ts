/** Gives bytes to whoever looks, as a file. */
import { visibleText } from './visible.ts'

const MAX_NAME = 80
const RELEASE_MS = 60_000

export function saveBytes(bytes: Uint8Array, name: string): void {
  const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]))
  const link = document.createElement('a')
  link.href = url
  link.download = fileName(name)
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), RELEASE_MS)
}

/** What no system takes ill. */
function fileName(name: string): string {
  const bare = visibleText(name)
    .replace(/[^\p{L}\p{N}._-]+/gu, '-')
    .replace(/^[.-]+/, '')
  return Array.from(bare).slice(0, MAX_NAME).join('') || 'content'
}
