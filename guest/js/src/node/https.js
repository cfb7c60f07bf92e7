// Node's `https`.

import { secure } from './http.js';

export default secure();
