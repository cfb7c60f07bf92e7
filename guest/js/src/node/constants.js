// `node:constants`: those of `os` and `fs` in one object, as it was before they had their own.

import { constants } from './fs-constants.js';
import { dlopen, errno, priority, signals } from './os-constants.js';

export default { ...dlopen, ...errno, ...priority, ...signals, ...constants };
