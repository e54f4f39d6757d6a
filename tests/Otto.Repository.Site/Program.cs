using Otto.Repository.Site;

// The last step of eng/docs: no broken link leaves it.

if (args is not [var directory])
{
    Console.Error.WriteLine("usage: Otto.Repository.Site DIRECTORY");
    return 2;
}

var (links, broken) = SiteLinks.Check(directory);
foreach (string line in broken) Console.Error.WriteLine(line);
if (links == 0) Console.Error.WriteLine($"{directory} holds no page with a link");
return broken.Count == 0 && links > 0 ? 0 : 1;
