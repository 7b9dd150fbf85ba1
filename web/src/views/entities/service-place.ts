/** A dataset of the service as a place to browse, which moves on with what is written. */
import { useMemo } from 'preact/hooks'
import { client } from '../../app/session.ts'
import { useStatus } from '../../app/status.ts'
import { serviceSource } from '../../service-source.ts'
import type { Place } from './place.ts'

export function useServicePlace(dataset: string): Place {
  const asked = client.value
  const source = useMemo(() => serviceSource(asked.dataset(dataset)), [asked, dataset])
  const stands = useStatus(dataset).data.value
  const turn = stands === undefined ? '' : `${stands.generation.number} ${stands.number}`
  return useMemo(
    () => ({
      source,
      key: dataset,
      turn,
      target: (view, arg, query = {}) => ({
        dataset,
        view,
        args: arg === undefined ? [] : [arg],
        query,
      }),
    }),
    [source, dataset, turn],
  )
}
