/**
 * Whether the process that wrote something down still lives. All that have a store open are of one PID
 * namespace (namespace.ts), so their numbers mean the same to all of them; that a number was given
 * again is told by the moment its process started, where the system says so.
 */
import { readFileSync } from 'node:fs'

/** When a process started, in the system's own count; `''` where that cannot be known. */
export function startOf(pid: number): string {
  return statOf(pid)?.started ?? ''
}

export function isAlive(pid: number, started: string): boolean {
  const stat = statOf(pid)
  if (stat === undefined) return answersSignals(pid)
  if (stat.state === 'Z' || stat.state === 'X') return false
  return started === '' || stat.started === started
}

/** After the name of its program, which is in brackets and may contain anything. */
function statOf(pid: number): { state: string; started: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [state = ''] = fields
    return { state, started: fields[19] ?? '' }
  } catch {
    return undefined
  }
}

/** No answer from `/proc` may also mean that this system has none, or hides the processes of others. */
function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}
