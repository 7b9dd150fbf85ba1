/** Starts the worker that lies in the page itself, as a page that is one file needs it. */
// oxlint-disable-next-line import/default -- Vite makes the module of it
import InlineWorker from './worker.ts?worker&inline'

export function startWorker(): Worker {
  return new InlineWorker({ name: 'cairn-car' })
}
