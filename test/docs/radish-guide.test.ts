/** The guide on moving from older backups, run as it stands. */
import { expect, test } from 'vitest'
import { runPage } from './run-page.ts'

/** A session file, as its server wrote it. */
const PICKLE = `
python3 -c "
import pickle, datetime
state = {'timestamp': 1736695945.123, 'datetime': '2025-01-12T14:32:25', 'reason': 'user_disconnect:Alice',
         'initialized': True, 'metadata': {'user_count': 3}}
pickle.dump(state, open('session_snapshot.pkl', 'wb'))"`

test('docs/guides/radish.md', { timeout: 300_000 }, async () => {
  const { stdout } = await runPage('docs/guides/radish.md', { clone: true, before: PICKLE })
  expect(stdout).toMatch(/^json\/cache_user_cache_\d{8}_\d{6}\.json\nsome\/cache_user_cache_/m)
})
