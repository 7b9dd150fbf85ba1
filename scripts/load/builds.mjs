/** Building a snapshot, as a client asks for it. */

/** Until it is there. */
export async function buildOnce(request, place) {
  const { job } = await must(request('POST', `${place}/jobs`, '{"kind":"build"}'))
  const done = await must(request('GET', `${place}/jobs/${job.id}?wait_ms=60000`))
  if (done.job.state !== 'succeeded') throw new Error(`A build: ${JSON.stringify(done.job)}`)
}

/** The answer to a request that must succeed. */
export async function must(asked) {
  const { status, json } = await asked
  if (status >= 300) throw new Error(`${status}: ${JSON.stringify(json())}`)
  return json()
}
