/** One save under the clock: its time, the stalls of this process, the processor's time, bytes to the disk. */
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

/** What is left to be done after an answer belongs to the save, too. */
const SETTLE_MS = 20

/**
 * Bytes that this process has handed to the system. Not `write_bytes`, which counts whole groups of pages where
 * one of them was written.
 */
const handedOver = () => Number(/^wchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])

const cpuMs = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** `serverCpu` tells of another process that works for this one, `fileBytes` of the file that it writes. */
export async function measured({ save, serverCpu = async () => 0, fileBytes }) {
  const spent = async () => ({ cpu: cpuMs() + (await serverCpu()), bytes: handedOver() })
  const delays = monitorEventLoopDelay({ resolution: 1 })
  const before = await spent()
  delays.enable()
  await sleep(SETTLE_MS)
  delays.reset()
  const began = performance.now()
  await save()
  const ms = performance.now() - began
  // A stall that lasts to the end is seen by the sample after it.
  await sleep(3)
  delays.disable()
  await sleep(SETTLE_MS)
  const after = await spent()
  return {
    ms,
    p99: delays.percentile(99) / 1e6,
    max: delays.max / 1e6,
    cpu: after.cpu - before.cpu,
    bytes: fileBytes === undefined ? after.bytes - before.bytes : await fileBytes(),
  }
}
