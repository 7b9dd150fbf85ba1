/** Jobs, under the service's own names; held to its schemas by test/client/records.test.ts. */

export type JobKind = 'build' | 'export' | 'restore' | 'prune' | 'prune-cars' | 'verify' | 'drill'

export interface JobProgress {
  readonly step: string
  readonly done: number
  readonly total: number | null
  readonly at: string
}

export interface Job {
  readonly id: string
  readonly dataset: string
  readonly kind: JobKind
  readonly state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled'
  readonly reason: string
  readonly reasons: readonly string[]
  readonly created_at: string
  readonly started_at: string | null
  readonly finished_at: string | null
  readonly progress: JobProgress | null
  readonly stuck: boolean
  readonly result: Readonly<Record<string, unknown>> | null
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string } | null
}

interface Common<K extends JobKind> {
  readonly kind: K
  readonly reason?: string | undefined
}

export interface BuildRequest extends Common<'build'> {
  readonly tags?: readonly string[] | undefined
  readonly meta?: Readonly<Record<string, unknown>> | undefined
  readonly force?: boolean | undefined
}

export interface ExportRequest extends Common<'export'> {
  readonly content?: 'full' | 'tips' | 'index' | undefined
  readonly since?: string | undefined
  readonly snapshot?: string | undefined
  readonly version?: 1 | 2 | undefined
  readonly encrypt_to?: readonly string[] | undefined
  readonly force?: boolean | undefined
}

export interface RestoreRequest extends Common<'restore'> {
  readonly backups: readonly string[]
  readonly as?: string | undefined
  readonly at?: string | undefined
  readonly replace?: boolean | undefined
  readonly dry_run?: boolean | undefined
}

export interface PruneRequest extends Common<'prune' | 'prune-cars'> {
  readonly keep?: string | undefined
  readonly dry_run?: boolean | undefined
}

export interface VerifyRequest extends Common<'verify'> {
  readonly mode?: 'full' | 'quick' | 'budget' | undefined
  readonly budget_ms?: number | undefined
}

export interface DrillRequest extends Common<'drill'> {
  readonly sample?: number | undefined
  readonly max_rto_ms?: number | undefined
  readonly max_rpo_ms?: number | undefined
}

export type JobRequest =
  BuildRequest | ExportRequest | RestoreRequest | PruneRequest | VerifyRequest | DrillRequest
