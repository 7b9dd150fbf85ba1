import { openMemory } from '../../src/backend/memory.ts'
import { backendConformance } from '../conformance/backend.ts'

backendConformance('memory', async () => {
  const backend = openMemory()
  return { backend, dispose: async () => await backend.close() }
})
