const semver = require('semver');

module.exports = () => ({
  valid: [semver.valid('v1.2.3'), semver.valid('1.2'), semver.clean('  =v1.2.3 ')],
  satisfies: [['1.2.3', '^1.0.0'], ['2.0.0', '~1.2'], ['1.0.0-beta.2', '>=1.0.0-beta.1'], ['1.5.0', '1.x || >=2.5']]
    .map(([version, range]) => semver.satisfies(version, range)),
  inc: ['major', 'minor', 'patch', 'prerelease'].map((release) => semver.inc('1.2.3', release, 'beta')),
  sorted: ['1.10.0', '1.2.0', '1.2.0-rc.1'].sort(semver.compare),
  max: semver.maxSatisfying(['1.2.3', '1.3.0', '2.0.0'], '^1.2'),
  diff: semver.diff('1.2.3', '1.3.0'),
  coerced: semver.coerce('v2 of it').version,
  range: new semver.Range('^1.2.3 <1.5').range,
  min: semver.minVersion('>1.0.0').version,
});
