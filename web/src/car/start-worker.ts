/** Starts the worker from its own file, as `worker-src 'self'` allows. */
export function startWorker(): Worker {
  return new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'cairn-car' })
}
