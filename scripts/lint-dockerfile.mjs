/**
 * Checks a Dockerfile without Docker: `node scripts/lint-dockerfile.mjs [file …]`.
 *
 * dockerfile-utils says whether it would be understood (instructions, flags, references, JSON). What this house asks
 * for beyond that stands in `habits`: each is a way in which an image builds well and then runs badly.
 */
import { readFileSync } from 'node:fs';
import { DockerfileParser } from 'dockerfile-ast';
import { validate, ValidationSeverity } from 'dockerfile-utils';

const STRICT = Object.fromEntries(
  [
    'deprecatedMaintainer',
    'directiveCasing',
    'emptyContinuationLine',
    'instructionCasing',
    'instructionCmdMultiple',
    'instructionEntrypointMultiple',
    'instructionHealthcheckMultiple',
    'instructionJSONInSingleQuotes',
    'instructionWorkdirRelative',
  ].map((setting) => [setting, ValidationSeverity.ERROR]),
);

const line = (node) => node.getRange().start.line + 1;

/** @returns {[line: number, fault: string][]} */
function habits(content) {
  const faults = [];
  const instructions = DockerfileParser.parse(content).getInstructions();
  const stages = [];
  for (const instruction of instructions) {
    if (instruction.getKeyword() === 'FROM') stages.push({ from: instruction, instructions: [] });
    else stages.at(-1)?.instructions.push(instruction);
  }
  const names = new Set();

  for (const { from } of stages) {
    // An earlier stage, `scratch` and a variable have no tag to look at.
    const image = from.getImage() ?? '';
    const fixed = from.getImageDigest() ?? from.getImageTag();
    if (!names.has(image) && image !== 'scratch' && !image.includes('$')) {
      if (!fixed || fixed === 'latest') faults.push([line(from), `${image}: name a tag other than "latest"`]);
    }
    if (from.getBuildStage()) names.add(from.getBuildStage());
  }

  for (const instruction of instructions) {
    const keyword = instruction.getKeyword();
    const text = instruction.getArgumentsContent() ?? '';
    if (keyword === 'ADD') {
      faults.push([line(instruction), 'ADD unpacks archives and downloads: say COPY']);
    }
    if (keyword === 'COPY') {
      const source = instruction
        .getFlags()
        .find((flag) => flag.getName() === 'from')
        ?.getValue();
      // A number counts the stages; what has a tag or a digest is another image.
      if (source && !names.has(source) && !/^\d+$|[:@$]/.test(source)) {
        faults.push([line(instruction), `--from=${source}: there is no such stage`]);
      }
    }
    if (['CMD', 'ENTRYPOINT'].includes(keyword) && !text.startsWith('[')) {
      faults.push([line(instruction), `${keyword} as a list: a shell in between does not pass SIGTERM on`]);
    }
    if (keyword === 'RUN' && /\bnpm (i|install)\b/.test(text)) {
      faults.push([line(instruction), 'npm ci installs what package-lock.json says; npm install need not']);
    }
    if (['ARG', 'ENV'].includes(keyword) && /(SECRET|PASSWORD|TOKEN|PRIVATE_KEY)\w*/.test(text)) {
      faults.push([line(instruction), `${keyword} stays readable in the image: pass secrets when it runs`]);
    }
  }

  const last = stages.at(-1);
  if (!last) return [[1, 'there is no FROM']];
  const final = (keyword) => last.instructions.findLast((instruction) => instruction.getKeyword() === keyword);

  const user = final('USER');
  if (!user) faults.push([line(last.from), 'no USER in the last stage: it would run as root']);
  else if (!/^[1-9]\d*(:[1-9]\d*)?$/.test(user.getArgumentsContent() ?? '')) {
    faults.push([line(user), 'USER by a number that is not 0: only from a number is it certain not to be root']);
  }
  const health = final('HEALTHCHECK');
  if (!health || /^none$/i.test(health.getArgumentsContent() ?? '')) {
    faults.push([line(health ?? last.from), 'no HEALTHCHECK in the last stage']);
  } else if (!/\bCMD\s*\[/.test(health.getArgumentsContent() ?? '')) {
    faults.push([line(health), 'HEALTHCHECK CMD as a list: there may be no shell']);
  }
  if (!final('CMD') && !final('ENTRYPOINT')) faults.push([line(last.from), 'neither CMD nor ENTRYPOINT']);
  return faults;
}

const files = process.argv.length > 2 ? process.argv.slice(2) : ['Dockerfile'];
let count = 0;
for (const file of files) {
  const content = readFileSync(file, 'utf8');
  const faults = [
    ...validate(content, STRICT).map(({ range, message }) => [range.start.line + 1, message]),
    ...habits(content),
  ];
  for (const [at, fault] of faults.sort(([a], [b]) => a - b)) console.error(`${file}:${at}  ${fault}`);
  count += faults.length;
}
if (count > 0) {
  console.error(`\n${count} ${count === 1 ? 'fault' : 'faults'}`);
  process.exitCode = 1;
} else {
  console.log(`${files.join(', ')}: no faults`);
}
