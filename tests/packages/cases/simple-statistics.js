const ss = require('simple-statistics');

module.exports = () => {
  const data = [2, 4, 4, 4, 5, 5, 7, 9];
  const line = ss.linearRegression([[0, 1], [1, 3], [2, 5.2]]);
  return {
    basics: [ss.mean(data), ss.median(data), ss.mode(data), ss.standardDeviation(data), ss.variance(data), ss.interquartileRange(data)], quantiles: ss.quantile(data, [0.1, 0.5, 0.9]),
    line, at: ss.linearRegressionLine(line)(10), correlation: ss.sampleCorrelation([1, 2, 3, 5], [2, 4, 5, 9]), clusters: ss.ckmeans([1, 2, 10, 11, 50], 3),
    factorial: ss.factorial(10), z: ss.zScore(9, 5, 2), normal: ss.cumulativeStdNormalProbability(1), harmonic: ss.harmonicMean(data), t: ss.tTest(data, 5),
  };
};
