/** The routes of the service, one plugin a subject. A new one gets its line here. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Service } from '../service.ts'
import { arkeRoutes } from './arke.ts'
import { backupRoutes } from './backups.ts'
import { carRoutes } from './car.ts'
import { changeRoutes } from './changes.ts'
import { contentRoutes } from './content.ts'
import { datasetRoutes } from './datasets.ts'
import { diffRoutes } from './diff.ts'
import { entityRoutes } from './entities.ts'
import { entryRoutes } from './entries.ts'
import { gatewayRoutes } from './gateway.ts'
import { healthRoutes } from './health.ts'
import { incomingSyncRoutes } from './incoming-syncs.ts'
import { jobRoutes } from './jobs.ts'
import { mapKeyRoutes } from './map-key.ts'
import { mapKeysRoutes } from './map-keys.ts'
import { mapRoutes } from './maps.ts'
import { pageRoutes } from './page.ts'
import { probeRoutes } from './probes.ts'
import { replicationRoutes } from './replication.ts'
import { rollbackRoutes } from './rollback.ts'
import { sessionRoutes } from './session.ts'
import { snapshotRoutes } from './snapshots.ts'

/** Every route names its whole URL, its `config.right`, `operationId`, `tags` and all its schemas. */
export type Routes = (service: Service) => FastifyPluginAsyncTypebox

export const ROUTES: readonly Routes[] = [
  arkeRoutes,
  backupRoutes,
  carRoutes,
  changeRoutes,
  contentRoutes,
  datasetRoutes,
  diffRoutes,
  entityRoutes,
  entryRoutes,
  gatewayRoutes,
  healthRoutes,
  incomingSyncRoutes,
  jobRoutes,
  mapKeyRoutes,
  mapKeysRoutes,
  mapRoutes,
  pageRoutes,
  probeRoutes,
  replicationRoutes,
  rollbackRoutes,
  sessionRoutes,
  snapshotRoutes,
]
