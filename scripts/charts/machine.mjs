/** Where figures were measured, and how busy it was. */
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem, type } from 'node:os'

export const machine = () => ({
  cpu: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
  memoryGib: Math.round(totalmem() / 2 ** 30),
  system: `${type()} ${release()}`,
  node: process.version,
  /** Of the minute before; to be taken before the work. */
  load: Math.round(loadavg()[0] * 10) / 10,
})

export const printMachine = ({ cpu, memoryGib, node, load }) =>
  `${cpu}, ${memoryGib} GiB, Node ${node}, load before the run ${load}`

/** Anonymous memory of a process in MB, 0 for one that has ended: mapped files are the system's. */
export function anonymousMb(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}
