// URLPattern (URL Pattern standard): the `urlpattern-polyfill` package, which saves a parser of
// patterns and of what they match.

import { URLPattern } from 'urlpattern-polyfill/urlpattern';

export default { URLPattern };
